"""Summary statistics of one version's calls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from deploy.versions.rollout.calls import Call

STEP = math.log(1.05)  # latencies are stored with a precision of 5 %


@dataclass
class Tally:
    """calls: their number, of which failed, refused, and over the limit of the p99. latencies: calls by log of ms."""

    calls: int = 0
    failed: int = 0
    refused: int = 0
    over: int = 0
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, call: Call, max_p99: float | None) -> None:
        self.calls += 1
        self.failed += call.failed
        self.refused += call.refused
        self.over += max_p99 is not None and call.milliseconds > max_p99
        self.latencies[round(math.log1p(call.milliseconds) / STEP)] += 1

    def quantile(self, share: float) -> float:
        """The latency in milliseconds that this share of the calls does not exceed; 0 without calls."""
        wanted, seen = share * self.latencies.total(), 0
        for bucket in sorted(self.latencies):
            seen += self.latencies[bucket]
            if seen >= wanted:
                return math.expm1((bucket + 0.5) * STEP)
        return 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "failed": self.failed,
            "refused": self.refused,
            "over": self.over,
            "latencies": {str(bucket): count for bucket, count in sorted(self.latencies.items())},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        counts = {name: int(values[name]) for name in ("calls", "failed", "refused", "over")}
        return cls(**counts, latencies=Counter({int(key): int(value) for key, value in values["latencies"].items()}))
