"""A network that takes batches of one size alone, for batches of any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FixedBatch(nn.Module):
    """Calls `network` as often as needed, its last batch filled up with zeros; (N, …) → its outputs for N inputs.

    A program of torch.export is such a network unless it was exported with a dynamic batch.
    """

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, inputs: Tensor) -> Any:
        missing = -len(inputs) % self.size
        padded = F.pad(inputs, (0, 0) * (inputs.ndim - 1) + (0, missing)) if missing else inputs
        return joined([self.network(part) for part in padded.split(self.size)], len(inputs))


def joined(outputs: list[Any], count: int) -> Any:
    """Tensors, or tuples, lists and dictionaries of them, one after the other and cut to `count`."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(outputs)[:count]
    if isinstance(first, Mapping):
        return {name: joined([each[name] for each in outputs], count) for name in first}
    return tuple(joined(list(parts), count) for parts in zip(*outputs, strict=True))
