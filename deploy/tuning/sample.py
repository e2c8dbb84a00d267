"""One measurement: every answer with its latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Reply:
    """index: that of the image sent. status: 0 if the connection broke. latency: in seconds."""

    index: int
    status: int
    latency: float
    body: bytes


@dataclass(frozen=True)
class Sample:
    """replies: the counted ones. seconds: for how long they were counted."""

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
        """A percentile of the latencies, in milliseconds."""
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
