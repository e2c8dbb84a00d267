"""Sequential tests that are valid at any time, however often they are evaluated.

Each call is assigned to a version at random with a known probability, the version's share. If the versions behave
alike, the same holds among the calls with any given outcome, be it an error, a slow answer or a class: each belongs to
the new version with exactly that probability, whatever else changes over time. The test statistic against this
hypothesis is a mixture of likelihood ratios. It is a martingale under the hypothesis, so by Ville's inequality the
probability that it ever exceeds 1/α is at most α (Lindon and Malek, "Anytime-valid inference for multinomial count
data", NeurIPS 2022; Robbins, 1970).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

# The alternatives, with equal weights: by which factor the new version's odds exceed the tolerated ones. A small factor
# shows after many calls, a large one after few.
FACTORS = (1.5, 3.0, 10.0, 100.0)


@dataclass
class OddsTest:
    """Tests whether an outcome is more frequent with the new version than with the old, by more than a factor.

    tolerated: that factor of the odds; 2 tolerates twice as frequent. log_ratios: logarithm of each alternative's
    likelihood ratio against the tolerated factor.
    """

    tolerated: float = 1.0
    log_ratios: list[float] = field(default_factory=lambda: [0.0] * len(FACTORS))

    def add(self, share: float, new: int, old: int) -> None:
        """Add calls with the outcome. share: of the new version when they arrived, from 0 to 1."""
        if not 0 < share < 1 or not new + old:
            return
        under = tilted(share, self.tolerated)
        for index, factor in enumerate(FACTORS):
            other = tilted(share, self.tolerated * factor)
            self.log_ratios[index] += new * math.log(other / under) + old * math.log((1 - other) / (1 - under))

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence for more than the tolerated factor; log(1/α) suffices at level α."""
        return log_mean_exp(self.log_ratios)

    def to_json(self) -> dict[str, Any]:
        return {"tolerated": self.tolerated, "log_ratios": self.log_ratios}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(float(values["tolerated"]), [float(each) for each in values["log_ratios"]])


@dataclass
class ClassesTest:
    """Tests whether any of several outcomes is more or less frequent with the new version, by more than a factor.

    The outcomes are not known beforehand. The k-th to appear has the weight 1/(k(k+1)); the weights add up to 1.
    """

    tolerated: float = 2.0
    tests: dict[str, tuple[OddsTest, OddsTest]] = field(default_factory=dict)

    def add(self, outcome: str, share: float, new: int, old: int) -> None:
        if outcome not in self.tests:
            self.tests[outcome] = (OddsTest(self.tolerated), OddsTest(self.tolerated))
        more, less = self.tests[outcome]
        more.add(share, new, old)
        less.add(1 - share, old, new)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence from all outcomes together."""
        terms = [
            math.log(1 / (place * (place + 1) * 2)) + test.log_evidence
            for place, pair in enumerate(self.tests.values(), 1)
            for test in pair
        ]
        # Outcomes that have not appeared yet have evidence 1.
        rest = math.log(1 / (len(self.tests) + 1))
        return log_sum_exp([*terms, rest])

    @property
    def most(self) -> str:
        """The outcome whose frequency differs most."""
        return max(self.tests, key=lambda name: max(test.log_evidence for test in self.tests[name]), default="")

    def to_json(self) -> dict[str, Any]:
        return {
            "tolerated": self.tolerated,
            "tests": {name: [test.to_json() for test in pair] for name, pair in self.tests.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        tests = {
            name: (OddsTest.from_json(more), OddsTest.from_json(less)) for name, (more, less) in values["tests"].items()
        }
        return cls(float(values["tolerated"]), tests)


def tilted(share: float, factor: float) -> float:
    """The probability whose odds are `factor` times those of `share`."""
    return factor * share / (factor * share + 1 - share)


def bounds(successes: float, trials: int, alpha: float) -> tuple[float, float]:
    """A confidence sequence for a probability: with probability 1 - `alpha` it holds at all times together.

    The interval contains every p whose likelihood is at least α times that of Robbins' mixture with a uniform prior. It
    also holds for the mean of numbers from 0 to 1, whose sum is `successes`, because these are sub-Bernoulli (Howard et
    al., "Time-uniform Chernoff bounds via nonnegative supermartingales", 2020).
    """
    if not trials:
        return 0.0, 1.0
    failures = trials - successes
    level = math.lgamma(successes + 1) + math.lgamma(failures + 1) - math.lgamma(trials + 2) + math.log(alpha)

    def log_likelihood(p: float) -> float:
        return (successes * math.log(p) if successes else 0.0) + (failures * math.log1p(-p) if failures else 0.0)

    centre = successes / trials
    low = 0.0 if not successes else crossing(log_likelihood, level, 1e-12, centre)
    high = 1.0 if not failures else crossing(log_likelihood, level, 1 - 1e-12, centre)
    return low, high


def crossing(log_likelihood: Callable[[float], float], level: float, outside: float, inside: float) -> float:
    """Find by bisection where the likelihood crosses the level between a point below it and one above."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if log_likelihood(middle) < level:
            outside = middle
        else:
            inside = middle
    return outside


def log_sum_exp(values: Sequence[float]) -> float:
    largest = max(values)
    return largest + math.log(sum(math.exp(value - largest) for value in values))


def log_mean_exp(values: Sequence[float]) -> float:
    return log_sum_exp(values) - math.log(len(values))
