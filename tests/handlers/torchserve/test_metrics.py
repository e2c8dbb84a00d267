"""A worker's metrics of its batches: the increments of a second, as Prometheus's own histogram would count them."""

import itertools
import re
import sys
import threading
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Reference

from handlers.protocol.response import Response
from handlers.torchserve.metrics import ATOMIC, SECONDS, Histogram, MetricsReporter

# TorchServe's (ts/metrics/metric_type_enum.py, Metric.java): name.unit:value|#dimensions|#type:kind|#hostname:host,time
LINE = re.compile(r"\[METRICS\](\w+)\.(\w+):([0-9\-,.e]+)\|#([^|]*)\|#type:COUNTER\|#hostname:[^,]+,\d+\n")
STAGES = {"DecodeTime": 0.003, "InferenceTime": 0.2, "EncodeTime": 0.00001}
ANSWER = Response(b"{}", classes=["cat"])


@given(st.lists(st.floats(0, 20) | st.sampled_from(SECONDS)))
def test_a_histogram_counts_as_prometheus_does(values: list[float]) -> None:
    ours, registry = Histogram(SECONDS), CollectorRegistry()
    reference = Reference("time", "", buckets=SECONDS, registry=registry)
    for value in values:
        ours.observe(value)
        reference.observe(value)
    theirs = {
        (sample.name.removeprefix("time"), sample.labels.get("le", "")): sample.value
        for family in registry.collect()
        for sample in family.samples
    }
    found = {(suffix, bound): value for suffix, bound, value in ours.series()}
    assert found == {key: theirs[key] for key in found}
    assert len(found) == len(SECONDS) + 3


def values(lines: list[str]) -> dict[tuple[str, str], float]:
    matches = [LINE.fullmatch(line) for line in lines]
    assert all(matches), lines
    return {(match[1], match[4]): float(match[3]) for match in matches if match}


def test_the_first_report_has_every_series_and_later_ones_what_has_come() -> None:
    report = MetricsReporter("net", "1.0")
    first = values(report.lines())
    assert set(first.values()) == {0.0}
    assert len(first) == 3 * (len(SECONDS) + 3) + 11
    assert report.lines() == []
    report.add(STAGES, [ANSWER, Response(b"{}", status=415), ANSWER])
    second = values(report.lines())
    model = "ModelName:net,ModelVersion:1.0"
    assert second["DecodeTime_sum", f"{model},Level:Model"] == 0.003
    assert second["InferenceTime_bucket", f"{model},le:0.25,Level:Model"] == 1
    assert ("InferenceTime_bucket", f"{model},le:0.1,Level:Model") not in second
    assert second["InferenceTime_bucket", f"{model},le:+Inf,Level:Model"] == 1
    assert second["BatchSize_sum", f"{model},Level:Model"] == 3
    assert second["ModelRequests", f"{model},Code:200,Level:Model"] == 2
    assert second["ModelRequests", f"{model},Code:415,Level:Model"] == 1
    assert second["PredictedClass", f"{model},Class:cat,Level:Model"] == 2
    assert report.lines() == []


def test_a_class_cannot_break_a_line() -> None:
    report = MetricsReporter("net", "1.0")
    report.add(STAGES, [Response(b"{}", classes=["a|b,c:d#e\nf"])])
    assert any("Class:a_b_c_d_e_f," in labels for _, labels in values(report.lines()))


def test_lines_are_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(StringIO):
        def write(self, text: str) -> int:
            assert len(text) <= ATOMIC
            assert text.endswith("\n") or not text
            return super().write(text)

    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    report = MetricsReporter("net", "1.0")
    report.write()
    assert len(values(pipe.getvalue().splitlines(keepends=True))) > 50


def test_nothing_is_lost_between_threads() -> None:
    report = MetricsReporter("net", "1.0")
    ended = threading.Event()

    def work() -> None:
        for _ in range(20_000):
            report.add(STAGES, [ANSWER])
        ended.set()

    worker = threading.Thread(target=work)
    worker.start()
    said = []
    for _ in itertools.takewhile(lambda _: not ended.is_set(), itertools.repeat(None)):
        said += report.lines()
    worker.join()
    said += report.lines()
    counts = [float(match[3]) for match in map(LINE.fullmatch, said) if match and match[1] == "BatchSize_count"]
    assert sum(counts) == 20_000
