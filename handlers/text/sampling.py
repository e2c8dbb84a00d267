"""Choosing the next tokens from a language model's logits, those of all texts of a batch at once, on their device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# The most probable tokens among which a nucleus is looked for first. Of texts that a trained model writes it is nearly
# always there; sorting a whole vocabulary takes ten times as long.
CANDIDATES = 1024


class Sampler:
    """temperature: 0 for always the most probable token. top_p: tokens are drawn from the fewest, most probable ones
    that together reach it (Holtzman et al. 2020). seed: None to leave it to chance.

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

    def uniform(self) -> float:
        """A number of [0, 1), the next one of the text's own."""
        return float(torch.rand((), dtype=torch.float64, generator=self.generator))


def choose(logits_BV: Tensor, samplers: Sequence[Sampler]) -> list[int | None]:
    """The index of a token for each text, by its own sampler; None where its logits are not finite.

    A device is waited for once, or twice where a nucleus is larger than CANDIDATES.
    """
    best_B, tokens_B = logits_BV.max(dim=1)
    is_settled_B = torch.ones_like(tokens_B, dtype=torch.bool)
    drawing = [row for row, each in enumerate(samplers) if each.temperature]
    numbers = {row: samplers[row].uniform() for row in drawing}
    for limited in (False, True):
        if rows := [row for row in drawing if (samplers[row].top_p < 1) is limited]:
            places = indices(rows, logits_BV.device)
            weights_RV = weights_of(logits_BV, best_B, rows, samplers)
            numbers_R1 = column([numbers[row] for row in rows], logits_BV.device)
            if limited:
                shares_R1 = column([samplers[row].top_p for row in rows], logits_BV.device)
                found_R, is_there_R = from_nucleus(weights_RV, shares_R1, numbers_R1, CANDIDATES)
                is_settled_B = is_settled_B.index_copy(0, places, is_there_R)
            else:
                found_R = drawn(weights_RV, numbers_R1)
            tokens_B = tokens_B.index_copy(0, places, found_R)
    found = torch.stack([tokens_B, best_B.isfinite().long(), is_settled_B.long()], dim=1).tolist()
    tokens = [token if is_finite else None for token, is_finite, _ in found]
    if rows := [row for row, (_, is_finite, is_settled) in enumerate(found) if is_finite and not is_settled]:
        weights_RV = weights_of(logits_BV, best_B, rows, samplers)
        shares_R1, numbers_R1 = (
            column(values, logits_BV.device)
            for values in ([samplers[row].top_p for row in rows], [numbers[row] for row in rows])
        )
        found_R, _ = from_nucleus(weights_RV, shares_R1, numbers_R1, logits_BV.shape[1])
        for row, token in zip(rows, found_R.tolist(), strict=True):
            tokens[row] = token
    return tokens


def column(values: Sequence[float], device: torch.device) -> Tensor:
    """float64 (R, 1)."""
    return torch.tensor(values, dtype=torch.float64).to(device, non_blocking=True)[:, None]


def indices(rows: Sequence[int], device: torch.device) -> Tensor:
    """int64 (R,). A list as an index would be waited for."""
    return torch.tensor(rows).to(device, non_blocking=True)


def weights_of(logits_BV: Tensor, best_B: Tensor, rows: Sequence[int], samplers: Sequence[Sampler]) -> Tensor:
    """float32 (R, vocabulary), in proportion to the probabilities: the best token has 1, whatever the temperature."""
    if len(rows) < len(logits_BV):
        places = indices(rows, logits_BV.device)
        logits_BV, best_B = logits_BV.index_select(0, places), best_B.index_select(0, places)
    temperatures = column([samplers[row].temperature for row in rows], logits_BV.device)
    # A temperature that float32 has no number for is that of the best token alone.
    temperatures_R1 = temperatures.float().clamp_min(torch.finfo(torch.float32).tiny)
    return (logits_BV.float() - best_B.float()[:, None]).div_(temperatures_R1).exp_()


def drawn(weights_RN: Tensor, numbers_R1: Tensor) -> Tensor:
    """(R,): the place in each row where the sum of its weights passes a share of all, never one of weight 0."""
    sums_RN = weights_RN.cumsum(dim=1, dtype=torch.float64)
    places_R1 = torch.searchsorted(sums_RN, numbers_R1.clamp(max=1 - 2**-50) * sums_RN[:, -1:], right=True)
    return places_R1[:, 0].clamp(max=weights_RN.shape[1] - 1)  # of weights that are not finite, whatever comes


def from_nucleus(weights_RV: Tensor, shares_R1: Tensor, numbers_R1: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    """(R,): drawn from the fewest, most probable tokens that together reach a share, from one if that is 0; and whether
    these are among so many candidates. Where they are, the draw does not depend on how many are looked at."""
    count = min(candidates, weights_RV.shape[1])
    ordered_RN, order_RN = weights_RV.topk(count, dim=1)
    reached_R1 = shares_R1 * weights_RV.sum(dim=1, keepdim=True, dtype=torch.float64)
    sums_RN = ordered_RN.cumsum(dim=1, dtype=torch.float64)
    kept_RN = sums_RN - ordered_RN < reached_R1
    kept_RN[:, 0] = True
    places_R = drawn(ordered_RN * kept_RN, numbers_R1)
    is_there_R = (sums_RN[:, -1] >= reached_R1[:, 0]) | (count == weights_RV.shape[1])
    return order_RN.gather(1, places_R[:, None])[:, 0], is_there_R
