"""Finds the layer whose maps Grad-CAM uses, by the output of each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# Before this share of all layers, in the order in which they end, maps are too shallow to name a class, as those of a
# vision transformer's patches are.
DEEP = 0.5


def last_map(network: nn.Module, run: Callable[[], Any]) -> nn.Module | None:
    """The last layer to return maps (1, channels, h, w) with more than one place in each; None if there is none.

    run: calls the network with one image. Selvaraju et al. 2017 take the last convolutional layer. Maps with their
    channels last, and sequences of patches, do not count as maps here.
    """
    ended: list[tuple[nn.Module, bool]] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        ended.append((module, is_map(output)))

    inner = [module for module in network.modules() if module is not network]
    # The inside of a scripted module cannot be seen.
    hooks = [layer.register_forward_hook(note) for layer in inner if not isinstance(layer, torch.jit.ScriptModule)]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    places = [place for place, (_, is_one) in enumerate(ended) if is_one]
    if not places or places[-1] < DEEP * len(ended):
        return None
    return ended[places[-1]][0]


def is_map(output: Any) -> bool:
    if not isinstance(output, Tensor) or output.ndim != 4 or not output.is_floating_point():
        return False
    _, channels, height, width = output.shape
    return height * width > 1 and channels >= max(height, width)
