"""How many replicas a rate needs, by a queue with many servers: G/G/c in Allen and Cunneen's approximation.

Requests wait in one queue for c servers, which are all workers of all replicas. The wait is that of M/M/c (Erlang's C
formula) times (Ca² + Cs²) / 2, with the squared coefficients of variation of the times between arrivals and of service
(A. O. Allen, Probability, Statistics and Queueing Theory, 1990). A wait that is not zero is taken to be exponential.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def erlang_c(servers: int, load: float) -> float:
    """The probability that a request waits, M/M/c. load: arrival rate times mean service time; below `servers`."""
    blocked = 1.0  # Erlang's B formula, by its recursion
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


@dataclass(frozen=True)
class Replica:
    """workers: that answer at the same time. service: seconds of requests that did not wait.

    capacity: requests a second under full load, at which workers that share cores are slower than alone.
    """

    workers: int
    service: Sequence[float]
    capacity: float

    @property
    def stretch(self) -> float:
        """How much longer a request is served under full load than alone."""
        return max(1.0, self.workers / self.capacity / float(np.mean(self.service)))

    def percentile(self, percent: float, rate: float, replicas: int, arrivals: float = 1.0) -> float:
        """Seconds from arrival to answer; infinite where the rate is more than the replicas can answer.

        arrivals: the squared coefficient of variation of the times between them; 1 is Poisson's, 0 a constant rate.
        """
        servers, mean = replicas * self.workers, self.workers / self.capacity
        if rate * mean >= servers:
            return float("inf")
        service = np.asarray(self.service) * self.stretch
        variation = float(np.var(service)) / float(np.mean(service)) ** 2
        waits = erlang_c(servers, rate * mean)
        spread = (arrivals + variation) / 2
        decay = (servers / mean - rate) / max(spread, 1e-9)

        def later(seconds: float) -> float:
            """The probability that an answer takes longer."""
            rest = seconds - service
            return float(np.mean(np.where(rest < 0, 1.0, waits * np.exp(-decay * np.maximum(rest, 0)))))

        low, high = 0.0, float(np.max(service)) + 50 / decay
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if later(middle) > 1 - percent / 100 else (low, middle)
        return high

    def needed(self, rate: float, percent: float, seconds: float, most: int = 1000) -> int | None:
        """The fewest replicas of which the percentile is this long at most; None where no number is enough."""
        least = max(1, math.ceil(rate / self.capacity))
        return next((n for n in range(least, most + 1) if self.percentile(percent, rate, n) <= seconds), None)
