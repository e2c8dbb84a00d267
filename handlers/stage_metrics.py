"""What a batch costs and what came out of it, for Prometheus.

Histograms in seconds of each stage and of the batch's size; counters of requests by the code they were answered with,
and of the classes found. TorchServe reads each emission from the worker's standard output as a line of text, so there
are a few a batch: one for each stage, code and class, none for each request.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from handlers.answer import Answer

UNSAFE = re.compile(r"[^\w .+-]")  # what the line's own syntax uses


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

    def emit(self, answers: Sequence[Answer]) -> None:
        """Report the batch; in a worker only, where TorchServe's context carries a metrics cache."""
        if self.context.metrics is None:
            return
        from ts.metrics.metric_type_enum import MetricTypes

        for stage, value in self.seconds.items():
            self.add(stage, value, "seconds", MetricTypes.HISTOGRAM)
        self.add("BatchSize", float(len(answers)), "count", MetricTypes.HISTOGRAM)
        for code, number in Counter(str(answer.status) for answer in answers).items():
            self.add("ModelRequests", number, "count", MetricTypes.COUNTER, Code=code)
        for label, number in Counter(label for answer in answers for label in answer.classes).items():
            self.add("PredictedClass", number, "count", MetricTypes.COUNTER, Class=UNSAFE.sub("_", label))

    def add(self, name: str, value: float, unit: str, kind: Any, **labels: str) -> None:
        from ts.metrics.dimension import Dimension

        named = {"ModelName": self.context.model_name, "ModelVersion": self.version, **labels, "Level": "Model"}
        dimensions = [Dimension(label, text) for label, text in named.items()]
        self.context.metrics.add_metric(name, value, unit, dimensions=dimensions, metric_type=kind)
