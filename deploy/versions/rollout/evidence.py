"""Sequential tests that hold whenever they are looked at, and however often.

Each call is given to a version by chance, with a probability that is known: the version's share. If the versions behave
alike, the same holds for the calls with any outcome, be it an error, a slow answer or a class: one of them is the new
version's with just that probability, whatever else changes over time. So it is tested whether it is, by a mixture of
likelihood ratios, a martingale under the hypothesis, which by Ville's inequality exceeds 1/α with a probability of α at
most, ever (Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022; Robbins, 1970).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

# By how much the odds of the new version are higher than the tolerated ones, each with the same weight: a small
# difference shows after many calls, a large one after few.
FACTORS = (1.5, 3.0, 10.0, 100.0)


@dataclass
class OddsTest:
    """Whether an outcome is more frequent with the new version than with the old, by more than a factor.

    tolerated: that factor, of the odds. 2: twice as frequent is tolerated. log_ratios: of each factor's
    likelihood ratio against the tolerated one.
    """

    tolerated: float = 1.0
    log_ratios: list[float] = field(default_factory=lambda: [0.0] * len(FACTORS))

    def add(self, share: float, new: int, old: int) -> None:
        """Calls with the outcome. share: of the new version, from 0 to 1, when they came."""
        if not 0 < share < 1 or not new + old:
            return
        under = tilted(share, self.tolerated)
        for index, factor in enumerate(FACTORS):
            other = tilted(share, self.tolerated * factor)
            self.log_ratios[index] += new * math.log(other / under) + old * math.log((1 - other) / (1 - under))

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence against the tolerated factor or less; log(1/α) is enough at level α."""
        return log_mean_exp(self.log_ratios)

    def to_json(self) -> dict[str, Any]:
        return {"tolerated": self.tolerated, "log_ratios": self.log_ratios}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(float(values["tolerated"]), [float(each) for each in values["log_ratios"]])


@dataclass
class ClassesTest:
    """Whether one of several outcomes is more frequent, or less, with the new version, by more than a factor.

    Outcomes are not known beforehand. The k-th that comes has a weight of 1/(k(k+1)); these add up to 1.
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
        """Of all outcomes together."""
        terms = [
            math.log(1 / (place * (place + 1) * 2)) + test.log_evidence
            for place, pair in enumerate(self.tests.values(), 1)
            for test in pair
        ]
        # The outcomes that have not come yet have evidence 1.
        rest = math.log(1 / (len(self.tests) + 1))
        return log_sum_exp([*terms, rest])

    @property
    def most(self) -> str:
        """The outcome that differs most."""
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
    """A confidence sequence for a probability: it holds at all times together, but for a chance of `alpha`.

    Robbins' mixture of likelihood ratios with a uniform prior: the p whose likelihood is at least α times the
    mixture's. It holds for the mean of any numbers from 0 to 1 as well, of which `successes` is the sum: these are
    sub-Bernoulli (Howard et al., "Time-uniform Chernoff bounds via nonnegative supermartingales", 2020).
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
    """Where the likelihood reaches the level, between a point where it is below and one where it is not."""
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
