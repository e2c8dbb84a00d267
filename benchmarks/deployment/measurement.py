"""One rate of requests on a deployment, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.tuning.rest_load import Target, poisson, scheduled

PERCENTILES = (50.0, 99.0, 99.9)


@dataclass(frozen=True)
class Measurement:
    """rate: requests a second that were due. answered: of them, in a second, with 200. Latencies in milliseconds, from
    the time a request was due; of answers with 200 and others alike.
    """

    rate: float
    seconds: float
    sent: int
    answered: float
    errors: int
    p50: float
    p99: float
    p999: float
    latencies: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "latencies"}


def measure(target: Target, bodies: Sequence[bytes], rate: float, seconds: float, seed: int) -> Measurement:
    """Poisson arrivals at this rate for so long; the same seed gives the same arrivals. Raises OSError."""
    due = poisson(rate, seconds, seed)
    sample = scheduled(target, bodies, due, seconds)
    p50, p99, p999 = (sample.percentile(percent) for percent in PERCENTILES)
    latencies = tuple(sorted(reply.latency * 1000 for reply in sample.replies))
    return Measurement(rate, seconds, len(due), sample.throughput, sample.errors, p50, p99, p999, latencies)
