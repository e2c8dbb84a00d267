"""Measurements of a candidate and their evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from deploy.tuning.candidate import Candidate


@dataclass(frozen=True)
class Point:
    """concurrency: requests at once. throughput: answers per second. p50, p99: in milliseconds."""

    concurrency: int
    throughput: float
    p50: float
    p99: float
    errors: int


@dataclass(frozen=True)
class Trial:
    """points: one for each concurrency; none if the candidate could not be started. problem: the reason for that."""

    candidate: Candidate
    points: Sequence[Point]
    problem: str = ""

    def best(self, p99: float | None) -> Point | None:
        """The point with the highest throughput whose 99th percentile is within p99 milliseconds; None without one."""
        within = [point for point in self.points if not point.errors and (p99 is None or point.p99 <= p99)]
        return max(within, key=lambda point: point.throughput, default=None)

    def score(self, p99: float | None) -> float:
        point = self.best(p99)
        return point.throughput if point else 0.0


def merged(trials: Sequence[Trial]) -> Trial:
    """One trial from several of the same candidate: medians, and the sum of errors."""
    measured = [trial for trial in trials if trial.points]
    if not measured:
        return trials[-1]
    points = [
        Point(
            same[0].concurrency,
            median(point.throughput for point in same),
            median(point.p50 for point in same),
            median(point.p99 for point in same),
            sum(point.errors for point in same),
        )
        for same in zip(*(trial.points for trial in measured), strict=True)
    ]
    return Trial(trials[0].candidate, points)


def pareto(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in both throughput and p99, by p99."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.p99, -point.throughput)):
        if not front or point.throughput > front[-1].throughput:
            front.append(point)
    return front
