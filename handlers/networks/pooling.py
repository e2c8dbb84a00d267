"""From a state for each token to one for the text."""

from __future__ import annotations

from torch import Tensor


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the tokens that are there: (B, tokens, size), (B, tokens) → (B, size).

    mask: 1 for a token, 0 for padding, which so changes nothing. A text without a token gives zeros.
    """
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
