"""Histograms of what a batch costs: seconds a stage, and the batch's size.

TorchServe reads each emission from the worker's standard output, so there are four a batch and none a request.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any


class StageMetrics:
    """Times the stages of one batch: `stage("DecodeTime")` ends the stage before it."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.seconds: dict[str, float] = {}
        self.last = perf_counter()

    def end(self, stage: str) -> None:
        """The time since the last stage ended belongs to `stage`."""
        now = perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now

    def emit(self, batch_size: int) -> None:
        """Report the batch; in a worker only, where TorchServe's context carries a metrics cache."""
        if self.context.metrics is None:
            return
        from ts.metrics.dimension import Dimension
        from ts.metrics.metric_type_enum import MetricTypes

        for name, value, unit in [(n, s, "seconds") for n, s in self.seconds.items()] + [
            ("BatchSize", float(batch_size), "count")
        ]:
            dimensions = [Dimension("ModelName", self.context.model_name), Dimension("Level", "Model")]
            self.context.metrics.add_metric(name, value, unit, dimensions=dimensions, metric_type=MetricTypes.HISTOGRAM)
