"""What a batch costs and what came out of it, for Prometheus.

Histograms in seconds of each stage and of the batch's size; counters of requests by the code they were answered with,
and of the classes found. TorchServe reads each from the worker's standard output as a line of text, so there are a few
a batch: one for each stage, code and class, none for each request. They are written in the form that TorchServe's
CachingMetric gives a line: by way of its classes and the log, they took longer than a small model. And they are written
at once when the answer has gone: the server's reading of them would keep it waiting.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from handlers.answer import Answer

UNSAFE = re.compile(r"[^\w .+-]")  # what the line's own syntax uses
HOST = socket.gethostname()


class Report:
    """What a worker has yet to say of the batches it has answered."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, lines: Sequence[str]) -> None:
        self.lines += lines

    def write(self) -> None:
        if self.lines:
            sys.stdout.write("".join(self.lines))
            sys.stdout.flush()
            self.lines.clear()


class StageMetrics:
    """Times the stages of one batch: `end("DecodeTime")` ends the stage that is under way."""

    def __init__(self, context: Any, version: str) -> None:
        self.context = context
        self.version = version
        self.seconds: dict[str, float] = {}
        self.last = perf_counter()

    def end(self, stage: str) -> None:
        """The time since the last stage ended belongs to `stage`."""
        now = perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now

    def lines(self, answers: Sequence[Answer]) -> list[str]:
        """One for each metric, in deploy/metrics.yaml's order of dimensions."""
        model = f"ModelName:{self.context.model_name},ModelVersion:{self.version}"
        end = f"#hostname:{HOST},{int(time.time())}\n"

        def line(name: str, unit: str, value: float, kind: str, label: str = "") -> str:
            return f"[METRICS]{name}.{unit}:{value}|#{model}{label},Level:Model|#type:{kind}|{end}"

        codes = Counter(answer.status for answer in answers)
        classes = Counter(label for answer in answers for label in answer.classes)
        return [
            *(line(stage, "seconds", seconds, "HISTOGRAM") for stage, seconds in self.seconds.items()),
            line("BatchSize", "count", float(len(answers)), "HISTOGRAM"),
            *(line("ModelRequests", "count", n, "COUNTER", f",Code:{code}") for code, n in codes.items()),
            *(
                line("PredictedClass", "count", n, "COUNTER", f",Class:{UNSAFE.sub('_', label)}")
                for label, n in classes.items()
            ),
        ]


def without_prediction_time(metrics: Any) -> None:
    """Silence the one line TorchServe adds for every batch, PredictionTime: the stages say it and more.

    metrics: TorchServe's cache of the worker; None outside one. A handler's own metrics go through as before.
    """
    if metrics is None:
        return
    add_time = metrics.add_time

    def add(name: str, *arguments: Any, **named: Any) -> None:
        if name != "PredictionTime":
            add_time(name, *arguments, **named)

    metrics.add_time = add
