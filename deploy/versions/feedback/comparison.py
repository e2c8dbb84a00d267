"""Which of two versions has the better outcomes; valid at any time and however often it is evaluated.

Each call was assigned at random with a known probability. If the version makes no difference, the second version's part
of the calls with any given outcome therefore equals its share. A mixture of likelihood ratios against this hypothesis
is a martingale, whatever else changes over time, and the probability that it ever exceeds 1/α is at most α (Lindon and
Malek, NeurIPS 2022; Robbins, 1970). Outcomes between 0 and 1 count as mixtures of failure and success, which preserves
the martingale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.versions.feedback.outcomes import Outcome
from deploy.versions.rollout.evidence import bounds, log_mean_exp

# The alternatives: all pairs of these mean outcomes, with equal weights.
MEANS = (0.02, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.98)


class BetterTest:
    """Whether the second of two versions has the better outcomes."""

    def __init__(self) -> None:
        self.pairs = [(low, high) for low in MEANS for high in MEANS if low < high]
        self.log_ratios = [0.0] * len(self.pairs)
        self.best = 0.0

    def add(self, share: float, is_second: bool, value: float) -> None:
        """Add one outcome. share: the second version's share of both when the call was assigned. value: from 0 to 1."""
        if not 0 < share < 1:
            return
        for index, (first, second) in enumerate(self.pairs):
            success = share * second / (share * second + (1 - share) * first)
            failure = share * (1 - second) / (share * (1 - second) + (1 - share) * (1 - first))
            if is_second:
                ratio = (value * success + (1 - value) * failure) / share
            else:
                ratio = (value * (1 - success) + (1 - value) * (1 - failure)) / (1 - share)
            self.log_ratios[index] += math.log(ratio)
        self.best = max(self.best, log_mean_exp(self.log_ratios))

    @property
    def p(self) -> float:
        """An always-valid p-value: unless the second is better, the probability that it ever falls below α is at most
        α.
        """
        return math.exp(-self.best)


@dataclass(frozen=True)
class Version:
    """low, high: a confidence sequence for the mean outcome of the version."""

    name: str
    outcomes: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """better: the better version's name, "" while undecided.

    p: its always-valid p-value. alpha: the significance level. further: estimated number of outcomes until a decision
    if the difference stays; None if decided or no estimate.
    """

    first: Version
    second: Version
    better: str
    p: float
    alpha: float
    further: int | None

    @property
    def difference(self) -> tuple[float, float]:
        """Bounds of the difference of the means, second minus first, with confidence 1 - alpha."""
        return self.second.low - self.first.high, self.second.high - self.first.low

    def to_json(self) -> dict[str, Any]:
        values = {name: vars(version) for name, version in (("first", self.first), ("second", self.second))}
        stop = {"better": self.better or None, "p": self.p, "alpha": self.alpha, "stop": bool(self.better)}
        return {**values, **stop, "difference": list(self.difference), "further": self.further}


def compare(outcomes: Sequence[Outcome], first: str, second: str, alpha: float = 0.05) -> Comparison:
    """Compare two versions by outcomes in the order of their arrival; outcomes of other versions are ignored.

    Each direction is tested at half of alpha. If a call was divided among more versions, only the shares of these two
    count.
    """
    up, down = BetterTest(), BetterTest()
    values: dict[str, list[float]] = {first: [], second: []}
    for outcome in outcomes:
        if outcome.version not in values:
            continue
        is_second = outcome.version == second
        both = outcome.shares.get(first, 0.0), outcome.shares.get(second, 0.0)
        share = both[1] / sum(both)
        up.add(share, is_second, outcome.value)
        down.add(1 - share, not is_second, outcome.value)
        values[outcome.version].append(outcome.value)
    p = min(1.0, 2 * min(up.p, down.p))
    better = "" if p > alpha else second if up.p < down.p else first
    return Comparison(
        version(first, values[first], alpha / 2),
        version(second, values[second], alpha / 2),
        better,
        p,
        alpha,
        None if better else further(max(up, down, key=lambda test: log_mean_exp(test.log_ratios)), values, alpha),
    )


def version(name: str, values: Sequence[float], alpha: float) -> Version:
    mean = sum(values) / len(values) if values else math.nan
    return Version(name, len(values), mean, *bounds(sum(values), len(values), alpha))


def further(test: BetterTest, values: dict[str, list[float]], alpha: float) -> int | None:
    """Extrapolate: the evidence for a difference grows in proportion to the number of outcomes."""
    evidence, number = max(test.log_ratios), sum(map(len, values.values()))
    if evidence <= 0:
        return None
    wanted = math.log(2 / alpha) + math.log(len(test.pairs))
    return max(1, math.ceil(number * (wanted / evidence - 1)))
