"""Counts inputs and answers into the bins of the validation data, within a fixed share of a worker's time."""

from __future__ import annotations

import logging
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import orjson

from handlers.batching.request_state import RequestState
from handlers.drift.reference import CLASS, CONFIDENCE, Feature, features_of
from handlers.protocol.payload import Payload
from handlers.rare_tracebacks import RareTracebacks
from handlers.torchserve.metrics import MetricsReporter

logger = logging.getLogger(__name__)
logger.addFilter(RareTracebacks())

# Environment variable: the share of a worker's processor time; 0 turns the monitor off.
SHARE = "BUNDLE_DRIFT_SHARE"
USUAL = "0.005"
IDLE = 5.0  # an idle worker rests at most this many times as long by the clock
Measure = Callable[[Payload, Any], Mapping[str, float]]


class Monitor:
    """Measures a random input of a batch, then rests until that was a small share of the worker's processor time.

    The choice of inputs is therefore independent of their content, and a busy worker measures only some of them.

    measure: returns an input's statistics by name. metrics: counts them, in the bins of `features`.
    """

    def __init__(self, features: Mapping[str, Feature], metrics: MetricsReporter, measure: Measure) -> None:
        self.features, self.metrics, self.measure = features, metrics, measure
        self.share = float(os.environ.get(SHARE, USUAL))
        self.next = self.earliest = self.latest = 0.0 if self.share > 0 else math.inf
        metrics.start_bins((name, number) for name, feature in features.items() for number in range(feature.bins))

    def look(self, states: Sequence[RequestState[Any, Any]]) -> None:
        now = perf_counter()
        if now < self.earliest:  # all that most batches cost
            return
        started = process_time()
        if started < self.next and now < self.latest:
            self.earliest = min(self.latest, now + self.next - started)
            return
        predicted = [state for state in states if state.answers and not state.explain]
        if predicted:
            state = random.choice(predicted)
            self.metrics.count_bins(self.bins(self.values(state, random.randrange(len(state.answers)))))
            ended = process_time()
            rest = (ended - started) * (1 / self.share - 1)
            self.next, self.earliest, self.latest = ended + rest, now + rest, now + IDLE * rest

    def values(self, state: RequestState[Any, Any], index: int) -> list[tuple[str, float | str]]:
        """(name, value) of one input and its answer, with a value for each class of the answer."""
        values: list[tuple[str, float | str]] = []
        if state.request is not None:
            try:
                values += self.measure(state.request.payloads[index], state.items[index]).items()
            except Exception:
                logger.exception("the statistics of request %s failed", state.id)
        answer = state.answers[index]
        values += [(CLASS, label) for label in answer.classes]
        return values if answer.confidence is None else [*values, (CONFIDENCE, answer.confidence)]

    def bins(self, values: Sequence[tuple[str, float | str]]) -> list[tuple[str, int]]:
        return [(name, self.features[name].bin_of(value)) for name, value in values if name in self.features]


class Recorder(Monitor):
    """Writes the values of every input of each batch to a file, from which the archiver makes the reference."""

    def __init__(self, path: Path, measure: Measure) -> None:
        self.path, self.measure = path, measure

    def look(self, states: Sequence[RequestState[Any, Any]]) -> None:
        with self.path.open("ab") as file:
            for state in states:
                for index in range(len(state.answers)):
                    file.write(orjson.dumps(self.values(state, index)) + b"\n")


def monitor_of(
    values: str | None, card: Mapping[str, Any], metrics: MetricsReporter, measure: Measure
) -> Monitor | None:
    """The monitor of a worker's requests; None if its archive has no reference from validation data.

    values: the file to which the archiver has the values of the validation data written. card: the model's.
    """
    if values:
        return Recorder(Path(values), measure)
    features = features_of(card)
    return Monitor(features, metrics, measure) if features else None
