"""One measurement: every answer with its latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Reply:
    """index: of the image that was sent. status: 0 where the connection broke. latency: seconds."""

    index: int
    status: int
    latency: float
    body: bytes


@dataclass(frozen=True)
class Sample:
    """replies: those counted. seconds: how long they were counted for."""

    replies: Sequence[Reply]
    seconds: float

    @property
    def throughput(self) -> float:
        """Right answers a second."""
        return sum(reply.status == 200 for reply in self.replies) / self.seconds

    @property
    def errors(self) -> int:
        return sum(reply.status != 200 for reply in self.replies)

    def percentile(self, percent: float) -> float:
        """Of the latencies, in milliseconds."""
        latencies = [reply.latency for reply in self.replies]
        return float(np.percentile(latencies, percent)) * 1000 if latencies else float("nan")

    def wrong(self, right: Callable[[int, bytes], bool]) -> int:
        """How many answers are not right; `right` is asked with the image's index, once for each different body."""
        known: dict[tuple[int, bytes], bool] = {}
        wrong = 0
        for reply in self.replies:
            if reply.status != 200:
                continue
            key = (reply.index, reply.body)
            if key not in known:
                known[key] = right(reply.index, reply.body)
            wrong += not known[key]
        return wrong
