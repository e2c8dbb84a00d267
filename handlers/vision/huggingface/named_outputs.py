"""A network of transformers, its outputs by name as a tuple."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class NamedOutputs(nn.Module):
    """float32 (N, 3, H, W) → the outputs of these names, as float32."""

    def __init__(self, network: nn.Module, names: Sequence[str] = ("logits",)) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(names)

    def forward(self, pixels_NCHW: Tensor) -> tuple[Tensor, ...]:
        found = self.network(pixel_values=pixels_NCHW, return_dict=True)
        return tuple(found[name].float() for name in self.names)
