"""How often a value fell where, as Prometheus adds it up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

# From a policy's microseconds to TorchServe's own ten seconds.
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


class Histogram:
    """bounds: the largest value of each bucket, in rising order; a last bucket takes what is above them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def series(self) -> Iterator[tuple[str, str, float]]:
        """(suffix of the name, bucket's bound or "", value); a bucket counts what is in those below it as well."""
        for bound, count in zip((*map(str, self.bounds), "+Inf"), accumulate(self.buckets), strict=True):
            yield "_bucket", bound, float(count)
        yield "_sum", "", self.sum
        yield "_count", "", float(sum(self.buckets))
