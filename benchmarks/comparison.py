"""Systems measured in turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.images import expected, images
from benchmarks.in_process import InProcess
from benchmarks.models import Classifier
from benchmarks.systems.system import System
from deploy.tuning.sample import Sample

TOLERANCE = 0.005  # of a probability, over the eager model's
IN_PROCESS, CONSTANT = 0, -1  # instead of a concurrency
LOAD_FRACTION = 0.7  # of the in-process limit: the constant rate at which every server is asked


@dataclass(frozen=True)
class Measurement:
    """One system at one concurrency in one round. Latencies in milliseconds, cpu_ms: processor time a request.

    concurrency: IN_PROCESS for what runs without requests; CONSTANT where requests came at a constant rate,
    LOAD_FRACTION of the limit, so that waiting for a server that cannot keep up counts as latency. wrong: answers whose
    class differs from the eager model's, or whose probability does by more than TOLERANCE.
    """

    model: str
    name: str
    concurrency: int
    round: int
    throughput: float
    p50: float = float("nan")
    p95: float = float("nan")
    p99: float = float("nan")
    p999: float = float("nan")
    errors: int = 0
    wrong: int = 0
    cpu_ms: float = float("nan")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class StaticCosts:
    """Costs that are the same in every round. startup: seconds to the first answer. memory: bytes after the load."""

    model: str
    name: str
    startup: float
    memory: int


@dataclass(frozen=True)
class Comparison:
    """seconds: of each measurement. warm_up: seconds before it, at the same concurrency."""

    classifier: Classifier
    systems: Sequence[System]
    limits: Sequence[InProcess]
    concurrencies: Sequence[int]
    rounds: int
    seconds: float
    warm_up: float = 1.0
    # A JIT compiler and allocators settle under load; nobody measures a server's first seconds in production.
    settle: float = 10.0
    constant: bool = False  # also measure at a constant rate

    def run(self, tell: Callable[[str], None]) -> tuple[list[Measurement], list[StaticCosts]]:
        """All measurements; tell: called with what is measured next."""
        found: list[Measurement] = []
        static_costs: list[StaticCosts] = []
        with contextlib.ExitStack() as stack:
            for limit in self.limits:
                tell(f"starting {limit.name}")
                stack.callback(limit.stop)
                limit.start()
            for system in self.systems:
                tell(f"starting {system.name}")
                stack.callback(system.stop)
                system.start(images()[0])
                system.load(images(), max(self.concurrencies), self.settle, 0.0)
                system.pause()
            for number in range(self.rounds):
                for limit in self.limits:
                    tell(f"round {number + 1} of {self.rounds}: {limit.name}")
                    limit.throughput(self.warm_up)
                    throughput = limit.throughput(self.seconds)
                    found.append(Measurement(self.classifier.name, limit.name, IN_PROCESS, number, throughput))
                rate = LOAD_FRACTION * max(
                    m.throughput for m in found if (m.round, m.concurrency) == (number, IN_PROCESS)
                )
                for system in self.systems:
                    system.resume()
                    for concurrency in self.concurrencies:
                        tell(f"round {number + 1} of {self.rounds}: {system.name}, {concurrency} at once")
                        found.append(self.measure(system, concurrency, number))
                    if self.constant:
                        tell(f"round {number + 1} of {self.rounds}: {system.name}, {rate:.0f} a second")
                        found += self.at_rate(system, rate, number)
                    system.pause()
            for system in self.systems:
                static_costs.append(StaticCosts(self.classifier.name, system.name, system.startup, system.memory()))
        return found, static_costs

    def measure(self, system: System, concurrency: int, number: int) -> Measurement:
        before = system.cpu_seconds()
        sample = system.load(images(), concurrency, self.seconds, self.warm_up)
        total = sample.throughput * (self.seconds + self.warm_up)
        spent = system.cpu_seconds() - before
        return self.measurement(system, concurrency, number, sample, spent / total * 1000 if total else float("nan"))

    def at_rate(self, system: System, rate: float, number: int) -> list[Measurement]:
        """Nothing where the system cannot be asked so."""
        before = system.cpu_seconds()
        sample = system.constant(images(), rate, self.seconds)
        if sample is None:
            return []
        spent = (system.cpu_seconds() - before) / max(1, len(sample.replies)) * 1000
        return [self.measurement(system, CONSTANT, number, sample, spent)]

    def measurement(self, system: System, concurrency: int, number: int, sample: Sample, cpu_ms: float) -> Measurement:
        truth = expected(self.classifier)

        def right(index: int, body: bytes) -> bool:
            label, probability = system.answer(body)
            return label == truth[index][0] and abs(probability - truth[index][1]) <= TOLERANCE

        return Measurement(
            self.classifier.name,
            system.name,
            concurrency,
            number,
            sample.throughput,
            sample.percentile(50),
            sample.percentile(95),
            sample.percentile(99),
            sample.percentile(99.9),
            sample.errors,
            sample.wrong(right),
            cpu_ms,
        )


def medians(found: Sequence[Measurement]) -> dict[tuple[str, int], dict[str, float]]:
    """(system, concurrency) → field → median over the rounds; errors and wrong answers are added up."""
    groups: dict[tuple[str, int], list[Measurement]] = {}
    for measurement in found:
        groups.setdefault((measurement.name, measurement.concurrency), []).append(measurement)
    return {
        key: {
            **{n: median(getattr(m, n) for m in group) for n in ("throughput", "p50", "p95", "p99", "p999", "cpu_ms")},
            "low": min(m.throughput for m in group),
            "high": max(m.throughput for m in group),
            "errors": sum(m.errors for m in group),
            "wrong": sum(m.wrong for m in group),
        }
        for key, group in groups.items()
    }
