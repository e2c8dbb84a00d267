"""Whether a new version does as well as the old one, judged by calls that were randomly divided between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from deploy.versions.rollout.calls import Call
from deploy.versions.rollout.evidence import ClassesTest, OddsTest, bounds
from deploy.versions.rollout.tally import Tally

ALPHA = 0.01  # for each of five checks: at most 5 % of rollouts of a good version are rolled back
ENOUGH = math.log(1 / ALPHA)
SLOW = 0.9  # a call is slow if it takes longer than this quantile of the old version
MIN_FOR_SLOW = 50  # calls of the old version needed to know that quantile
TOLERATED = 2.0  # factor of the odds of slow calls, or of calls with one class
P99 = 0.01


@dataclass(frozen=True)
class Limits:
    """max_error_ratio: of failed calls, from 0 to 1. max_p99: milliseconds; None for no limit."""

    max_error_ratio: float = 0.05
    max_p99: float | None = None


@dataclass
class Judge:
    """Accumulates evidence over all steps of a rollout."""

    limits: Limits
    new: Tally = field(default_factory=Tally)
    old: Tally = field(default_factory=Tally)
    errors: OddsTest = field(default_factory=OddsTest)
    slow: OddsTest = field(default_factory=lambda: OddsTest(TOLERATED))
    classes: ClassesTest = field(default_factory=lambda: ClassesTest(TOLERATED))

    def add(self, call: Call, is_new: bool, share: float) -> None:
        """Add a call. share: of the new version when the call arrived, from 0 to 1."""
        one = (1, 0) if is_new else (0, 1)
        if call.failed or call.refused:
            self.errors.add(share, *one)
        # Only earlier calls decide, so that the bound does not depend on this call's latency.
        elif self.old.calls >= MIN_FOR_SLOW and call.milliseconds > self.old.quantile(SLOW):
            self.slow.add(share, *one)
        (self.new if is_new else self.old).add(call, self.limits.max_p99)

    def evidence(self) -> dict[str, float]:
        """Natural logarithm of the evidence by comparison; a value above ENOUGH decides."""
        return {
            "errors": self.errors.log_evidence,
            "slow": self.slow.log_evidence,
            "classes": self.classes.log_evidence,
        }

    def objection(self) -> str:
        """The reason for a rollback; "" while there is none."""
        found = self.evidence()
        if found["errors"] > ENOUGH:
            return f"more of its calls fail or are refused: {ratio(self.new)}; of the old version's, {ratio(self.old)}"
        low, _ = bounds(self.new.failed, self.new.calls, ALPHA)
        if low > self.limits.max_error_ratio:
            return f"more of its calls fail than {self.limits.max_error_ratio:.2%}: {ratio(self.new)}"
        if found["slow"] > ENOUGH:
            new, old = (tally.quantile(SLOW) for tally in (self.new, self.old))
            return f"it is slower: its p90 is {new:.0f} ms, the old version's {old:.0f} ms"
        low, _ = bounds(self.new.over, self.new.calls, ALPHA)
        if self.limits.max_p99 is not None and low > P99:
            return f"its p99 is {self.new.quantile(1 - P99):.0f} ms, above the limit of {self.limits.max_p99:g} ms"
        if found["classes"] > ENOUGH:
            often = f"more than {TOLERATED:g} times more or less often"
            return f"it predicts other classes: {self.classes.most!r} {often} than the old version"
        return ""

    @property
    def is_proven(self) -> bool:
        """Whether the failure ratio is certainly within the limit; proving 5 % takes about a hundred calls without
        failures.
        """
        return bounds(self.new.failed, self.new.calls, ALPHA)[1] <= self.limits.max_error_ratio

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name).to_json() for name in ("new", "old", "errors", "slow", "classes")}

    @classmethod
    def from_json(cls, limits: Limits, values: Mapping[str, Any]) -> Self:
        return cls(
            limits,
            Tally.from_json(values["new"]),
            Tally.from_json(values["old"]),
            OddsTest.from_json(values["errors"]),
            OddsTest.from_json(values["slow"]),
            ClassesTest.from_json(values["classes"]),
        )


def ratio(tally: Tally) -> str:
    bad = tally.failed + tally.refused
    return f"{bad} of {tally.calls} ({bad / max(1, tally.calls):.2%})"
