"""The layer whose maps Grad-CAM looks at, found by a look at what each layer gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# In front of this share of all layers, by the order in which they end, maps are too shallow to name a class: those of a
# vision transformer's patches.
DEEP = 0.5


def last_map(network: nn.Module, run: Callable[[], Any]) -> nn.Module | None:
    """The layer that is the last to end with maps (1, channels, h, w), more than one place in each; None without one.

    run: calls the network with one image. The last convolutional layer is what Selvaraju et al. 2017 take. Maps with
    their channels last, and sequences of patches, are not maps in this sense.
    """
    ended: list[tuple[nn.Module, bool]] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        ended.append((module, is_map(output)))

    inner = [module for module in network.modules() if module is not network]
    # A scripted module shows nothing of what is inside it.
    hooks = [each.register_forward_hook(note) for each in inner if not isinstance(each, torch.jit.ScriptModule)]
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
