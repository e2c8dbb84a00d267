"""Metrics of batches, their cost and their results, for Prometheus.

Histograms in seconds of each stage, and of the batch's size; counters of requests by the code they were answered with,
and of the classes found. TorchServe reads a worker's metrics as lines of text from its standard output, each at 20 µs:
seven a batch took a fifth of all its processor time. So a worker adds up and says once a second what has come to it.
TorchServe's histograms take one value a line, and none has buckets below 5 ms; ours are counters that have the names
and labels of a histogram, which is all that Prometheus's functions look at.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock, Thread
from time import perf_counter
from typing import Any

from handlers.protocol.response import Response

INTERVAL = 1.0  # seconds
STAGES = ("DecodeTime", "InferenceTime", "EncodeTime")
SERVER_TIMING = ", ".join(f"{stage.removesuffix('Time').lower()};dur=%.2f" for stage in STAGES)  # milliseconds
# Bounds of the buckets, from a policy's microseconds to TorchServe's own ten seconds.
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
UNSAFE = re.compile(r"[^\w .+-]")  # what the line's own syntax uses
HOST = socket.gethostname()
# Writes to a pipe up to this size are atomic (Linux's PIPE_BUF).
ATOMIC = 4096


class StageTimer:
    """Times the stages of one batch: `end("DecodeTime")` ends the stage that is under way."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.begin = time.time_ns()
        self.last = perf_counter()

    def boundaries(self) -> list[int]:
        """Where the stages begin and end, in ns since 1970: one more than there are stages."""
        ends = accumulate(self.seconds.values())
        return [self.begin, *(self.begin + round(1e9 * end) for end in ends)]

    def end(self, stage: str) -> None:
        """The time since the last stage ended belongs to `stage`."""
        now = perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now

    @property
    def header(self) -> str:
        """All stages, as Server-Timing has them (W3C): those of the batch, which its requests share."""
        return SERVER_TIMING % tuple([1000 * self.seconds[stage] for stage in STAGES])


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


class Counts:
    """The counts of one interval."""

    def __init__(self) -> None:
        self.histograms = {**{stage: Histogram(SECONDS) for stage in STAGES}, "BatchSize": Histogram(SIZES)}
        self.codes: Counter[int] = Counter()
        self.classes: Counter[str] = Counter()
        self.bins: Counter[tuple[str, int]] = Counter()

    def add(self, seconds: Mapping[str, float], answers: Sequence[Response]) -> None:
        for stage, value in seconds.items():
            self.histograms[stage].observe(value)
        self.histograms["BatchSize"].observe(len(answers))
        self.codes.update(answer.status for answer in answers)
        self.classes.update(label for answer in answers for label in answer.classes)

    def series(self) -> Iterator[tuple[str, str, str, float]]:
        """(name, unit, what its labels hold beside the model, increment), as deploy/metrics.yaml lists them."""
        for name, histogram in self.histograms.items():
            unit = "count" if name == "BatchSize" else "seconds"
            for suffix, bound, value in histogram.series():
                yield name + suffix, unit, f",le:{bound}" if bound else "", value
        for code, count in self.codes.items():
            yield "ModelRequests", "count", f",Code:{code}", float(count)
        for label, count in self.classes.items():
            yield "PredictedClass", "count", f",Class:{UNSAFE.sub('_', label)}", float(count)
        for (feature, number), count in self.bins.items():
            yield "DriftBin", "count", f",Feature:{feature},Bin:{number}", float(count)


class MetricsReporter:
    """Of one worker; safe to `add` to while it is written."""

    def __init__(self, model: str, version: str, dropped_spans: Callable[[], int] | None = None) -> None:
        """dropped_spans: how many there are since the last call, where requests are traced."""
        self.dropped_spans = dropped_spans
        self.labels = f"ModelName:{model},ModelVersion:{version}"
        self.lock = Lock()
        self.counts = Counts()
        self.written_once = False

    def add(self, seconds: Mapping[str, float], answers: Sequence[Response]) -> None:
        """One batch: the seconds of its stages, and its answers."""
        with self.lock:
            self.counts.add(seconds, answers)

    def count_bins(self, bins: Iterable[tuple[str, int]]) -> None:
        """An input of each of these bins, (feature, number): see handlers/drift/."""
        with self.lock:
            self.counts.bins.update(bins)

    def start_bins(self, bins: Iterable[tuple[str, int]]) -> None:
        """Those that there are, for the zeros of the first time."""
        with self.lock:
            self.counts.bins.update(dict.fromkeys(bins, 0))

    def lines(self) -> list[str]:
        """The increments since the last call, in the form that TorchServe's CachingMetric gives a line.

        The first time it says zeros as well: a rate needs a value to start from.
        """
        with self.lock:
            counts, self.counts = self.counts, Counts()
        end = f"|#type:COUNTER|#hostname:{HOST},{int(time.time())}\n"
        lines = [
            f"[METRICS]{name}.{unit}:{value}|#{self.labels}{labels},Level:Model{end}"
            for name, unit, labels, value in (*counts.series(), *self.spans())
            if value or not self.written_once
        ]
        self.written_once = True
        return lines

    def spans(self) -> Iterator[tuple[str, str, str, float]]:
        """As `Counts.series`."""
        if self.dropped_spans is not None:
            yield "SpansDropped", "count", "", float(self.dropped_spans())

    def write(self) -> None:
        """To standard output, in whole lines."""
        piece = ""
        for line in self.lines():
            if len((piece + line).encode()) > ATOMIC:
                sys.stdout.write(piece)
                piece = ""
            piece += line
        sys.stdout.write(piece)
        sys.stdout.flush()

    def start(self) -> None:
        """Write every INTERVAL from now on, beside the worker's own work."""
        Thread(target=self.run, name="report", daemon=True).start()

    def run(self) -> None:
        while True:
            time.sleep(INTERVAL)
            self.write()


def silence_prediction_time(metrics: Any) -> None:
    """Silence the one line TorchServe adds for every batch, PredictionTime: the stages say it and more.

    metrics: TorchServe's cache of the worker. A handler's own metrics go through as before.
    """
    add_time = metrics.add_time

    def add(name: str, *arguments: Any, **named: Any) -> None:
        if name != "PredictionTime":
            add_time(name, *arguments, **named)

    metrics.add_time = add
