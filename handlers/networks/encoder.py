"""An encoder of transformers as a function of one tensor, as the faster forms of a model are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

NOTHING = -1  # where a text has no token


class Encoder(nn.Module):
    """names: of the outputs that are asked for. padding: the id that stands for no token."""

    def __init__(self, network: nn.Module, padding: int, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.padding = padding
        self.names = names

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """int64 (B, 1, length), token ids, or (B, 2, length), ids and types; NOTHING where there is no token → the
        outputs as float32."""
        there = tokens[:, 0] != NOTHING
        ids = torch.where(there, tokens[:, 0], self.padding)
        types: dict[str, Any] = {} if tokens.shape[1] == 1 else {"token_type_ids": tokens[:, 1].clamp(min=0)}
        output = self.network(input_ids=ids, attention_mask=there.long(), **types)
        return tuple(getattr(output, name).float() for name in self.names)
