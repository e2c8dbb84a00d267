"""A worker's spans, as a collector gets them."""

import io
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from handlers.protocol.trace_context import started
from handlers.tracing import log_lines, tracer
from handlers.tracing.tracer import MOST_SENT, Tracer
from tests.deploy.tracing.collector import Collector, Received, collecting
from tests.handlers.frontend import frontend_of
from tests.handlers.worker import Worker

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{PARENT}-01"
GOOD = {"body": b'{"data": [0.1, 0.2, 0.3, 0.4]}'}
JSON = {"content-type": "application/json"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{made.endpoint}/v1/traces")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        yield made


@pytest.fixture
def worker(load: Callable[[str], Worker], collector: Collector) -> Iterator[Worker]:
    yield from traced(load("tiny-policy"))


def traced(worker: Worker) -> Iterator[Worker]:
    worker.handler.tracer = Tracer("tiny-policy", "1.0")
    yield worker
    worker.handler.tracer = None


def received(worker: Worker, collector: Collector) -> list[Received]:
    worker.handler.tracer.send()
    [spans] = collector.traces().values()
    return spans


def test_a_request_s_stages_follow_each_other_in_its_caller_s_trace(worker: Worker, collector: Collector) -> None:
    before = time.time_ns()
    headers = {"Traceparent": CALLER, "TraceState": "a=b", "x-request-start": str(before // 1000), **JSON}
    [(status, _, _)] = worker.answer([GOOD], [headers])
    after = time.time_ns()
    request, *stages = received(worker, collector)
    assert (status, request.name, request.trace, request.parent) == (200, "predict tiny-policy", TRACE, PARENT)
    assert [stage.name for stage in stages] == ["queue", "decode", "inference", "encode"]
    assert {(stage.trace, stage.parent) for stage in stages} == {(TRACE, request.id)}
    assert before - 1000 <= request.begin == stages[0].begin
    assert all(first.end == second.begin for first, second in pairwise(stages))
    assert stages[-1].end == request.end <= after
    assert request.attributes == {
        "model.name": "tiny-policy",
        "model.version": "1.0",
        "http.response.status_code": 200,
    }
    assert dict(stages[2].attributes) == {"batch.size": 1, "items": 1}
    assert not any(span.error for span in (request, *stages))


def test_over_grpc_the_entries_of_the_message_count(worker: Worker, collector: Collector) -> None:
    entries = {"traceparent": CALLER.encode(), "x-request-start": str(time.time_ns() // 1000).encode()}
    headers = {name: {"content-type": ""} for name in (*GOOD, *entries)}
    [(status, _, body)] = worker.answer([{**GOOD, "content-type": b"application/json", **entries}], [headers])
    assert status == 200, body
    request, queue, *_ = received(worker, collector)
    assert (request.trace, request.parent, queue.name) == (TRACE, PARENT, "queue")


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "junk",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        "0" * 10_000,
        "é",
    ],
)
def test_a_parent_that_cannot_be_meant_begins_a_trace_of_its_own(
    worker: Worker, collector: Collector, parent: str
) -> None:
    [(status, _, _)] = worker.answer([GOOD], [{"traceparent": parent, "x-request-start": "tomorrow", **JSON}])
    request, *stages = received(worker, collector)
    assert (status, request.parent, [stage.name for stage in stages]) == (200, "", ["decode", "inference", "encode"])
    assert request.trace != TRACE


LATER = str(time.time_ns() // 1000 + 10**12)


@pytest.mark.parametrize("value", ["-1", "", "1e9", "9" * 30, "١٢٣", pytest.param(LATER, id="later"), "1000"])
def test_a_start_that_cannot_be_meant(value: str) -> None:
    assert started(value, time.time_ns()) is None


def test_requests_of_one_batch_keep_to_their_own_traces(worker: Worker, collector: Collector) -> None:
    callers = {f"{number:032x}": f"00-{number:032x}-{PARENT}-01" for number in range(1, 4)}
    rows: list[Mapping[str, Any]] = [GOOD, {"body": b"{"}, GOOD]
    answers = worker.answer(rows, [{"traceparent": parent, **JSON} for parent in callers.values()])
    assert [status for status, _, _ in answers] == [200, 400, 200]
    worker.handler.tracer.send()
    traces = collector.traces()
    assert list(traces) == list(callers)
    first, refused, last = traces.values()
    for spans in (first, last):
        assert [span.name for span in spans] == ["predict tiny-policy", "decode", "inference", "encode"]
        assert spans[2].attributes["batch.size"] == 3
    assert [(span.name, span.error, span.attributes.get("error.type")) for span in refused] == [
        ("predict tiny-policy", False, "400"),  # an error of the caller's
        ("decode", True, "MalformedInput"),
        ("encode", False, None),
    ]


def test_a_model_that_fails_is_marked_and_named_in_the_log(
    worker: Worker, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(items: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(worker.handler, "predict", broken)
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.addFilter(log_lines.TraceIds())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    [(status, _, _)] = worker.answer([GOOD], [{"traceparent": CALLER, **JSON}])
    request, _, inference, encode = received(worker, collector)
    assert (status, request.error, request.attributes["error.type"]) == (500, True, "500")
    assert (inference.error, inference.attributes["error.type"], encode.error) == (True, "InternalError", False)
    lines = said.getvalue().splitlines()
    assert any("the model failed on an item" in line and line.endswith(f" trace_id={TRACE}") for line in lines), lines
    assert any("is answered with 500" in line and line.endswith(f" trace_id={TRACE}") for line in lines), lines


def test_a_caller_who_is_not_traced_costs_no_span(worker: Worker, collector: Collector) -> None:
    worker.answer([GOOD], [{"traceparent": CALLER.removesuffix("1") + "0", **JSON}])
    assert not worker.handler.tracer.answered
    worker.handler.tracer.send()
    assert collector.spans == []


def test_the_ratio_counts_where_nobody_has_decided(
    load: Callable[[str], Worker], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    [worker] = traced(load("tiny-policy"))
    worker.handler.tracer = Tracer("tiny-policy", "1.0")
    worker.answer([GOOD, GOOD], [JSON, {"traceparent": CALLER, **JSON}])
    assert {span.trace for span in received(worker, collector)} == {TRACE}
    worker.handler.tracer = None


def test_a_model_card_is_not_traced(worker: Worker, collector: Collector) -> None:
    worker.answer([{}], [{"describe": "True"}])
    worker.handler.tracer.send()
    assert collector.spans == []


def test_the_first_piece_of_a_streamed_answer_is_an_event(load: Callable[[str], Worker], collector: Collector) -> None:
    for worker in traced(load("tiny-writer")):
        with frontend_of(worker):
            row = {"data": b"once", "stream": b"true", "max_new_tokens": b"3"}
            [(status, _, body)] = worker.answer([row], [{"content-type": "multipart/form-data", "content-length": "9"}])
        assert status == 200, body
        [inference] = [span for span in received(worker, collector) if span.name == "inference"]
        assert inference.events == ("first piece sent",)


@pytest.mark.parametrize("failure", ["refuses", "is slow", "is gone"])
def test_a_collector_that_fails_costs_spans_and_neither_time_nor_memory(
    worker: Worker,
    collector: Collector,
    failure: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if failure == "refuses":
        collector.status = 401
    elif failure == "is slow":
        collector.delay = 3.0
    else:
        collector.server.server_close()
    monkeypatch.setattr(tracer, "MOST_WAITING", 40)
    sending = worker.handler.tracer
    sending.start()
    took = []
    for _ in range(40):
        before = time.perf_counter()
        worker.answer([GOOD], [JSON])
        took.append(time.perf_counter() - before)
        assert sending.waiting <= 40
        assert len(sending.answered) <= 10
        time.sleep(0.05)
    assert max(took) < 0.5  # the collector's failure takes a second
    dropped = 0
    end = time.monotonic() + 10
    while sending.waiting and time.monotonic() < end:
        dropped += sending.take_dropped()
        time.sleep(0.1)
    assert dropped + sending.take_dropped() == 40 * 4
    lines = [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert len(lines) <= 2


def test_more_than_a_message_holds_is_sent_in_several(worker: Worker, collector: Collector) -> None:
    for _ in range(5):
        worker.answer([GOOD] * 40, [JSON] * 40)
    worker.handler.tracer.send()
    assert len(collector.spans) == 5 * 40 * 4 > MOST_SENT
    assert len(collector.headers) == 2


def test_nothing_of_opentelemetry_is_imported_while_tracing_is_off() -> None:
    code = (
        "import sys, handlers.base, handlers.tracing as tracing; assert tracing.tracer_of('m', '1') is None; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ".", "PATH": ""})
