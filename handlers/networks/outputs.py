"""A network's outputs, always as a tuple."""

from __future__ import annotations

from torch import Tensor, nn


class Outputs(nn.Module):
    """The network's outputs as float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        found = self.network(inputs)
        return tuple(part.float() for part in ((found,) if isinstance(found, Tensor) else found))
