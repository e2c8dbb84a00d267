"""Choosing the next token from a language model's logits."""

from __future__ import annotations

import torch
from torch import Tensor


class Sampler:
    """temperature: 0 for always the most probable token. top_p: see `nucleus`. seed: None to leave it to chance.

    Each text has its own source of randomness, so that what shares its batch does not change it.
    """

    def __init__(self, temperature: float, top_p: float, seed: int | None) -> None:
        self.temperature = temperature
        self.top_p = top_p
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)

    def choose(self, logits: Tensor) -> int:
        """The index of one of `logits` (vocabulary,)."""
        if not self.temperature:
            return int(logits.argmax())
        probabilities = nucleus((logits.double().cpu() / self.temperature).softmax(dim=0), self.top_p)
        return int(torch.multinomial(probabilities, 1, generator=self.generator))


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The fewest, most probable tokens that together reach `top_p`; the others 0 (Holtzman et al. 2020)."""
    ordered, order = probabilities.sort(descending=True, stable=True)
    before = ordered.cumsum(dim=0) - ordered
    kept = torch.zeros_like(probabilities)
    chosen = order[before < top_p] if top_p > 0 else order[:1]
    kept[chosen] = probabilities[chosen]
    return kept
