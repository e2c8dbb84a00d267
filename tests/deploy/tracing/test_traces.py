"""Requests through edge and server, and their traces as a collector gets them."""

import json
import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import requests
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from client import ClientError, GrpcClient, RestClient, RestManagement, Server
from deploy.run_folder import state_of
from tests.deploy.tracing.collector import Received
from tests.deploy.tracing.conftest import CREDENTIAL, EXPLAINED, Traced

GOOD, STAGES = [0.1, 0.2, 0.3, 0.4], ["queue", "decode", "inference", "encode"]
TENSOR = {"name": "x", "shape": [2, 4], "datatype": "FP32", "data": GOOD * 2}
Make = Callable[[Server], RestClient | GrpcClient]
BOTH = pytest.mark.parametrize("make", [RestClient, GrpcClient])


class Caller:
    """A program in a trace of its own, which records nothing itself. sampled: whether its trace is recorded."""

    def __init__(self, sampled: bool = True) -> None:
        self.trace, self.span = secrets.token_hex(16), secrets.token_hex(8)
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        self.context = SpanContext(int(self.trace, 16), int(self.span, 16), is_remote=False, trace_flags=flags)

    def ask(self, make: Make, server: Server, payload: object = GOOD, **more: object) -> int:
        """The status of a prediction."""
        with make(server) as client, use_span(NonRecordingSpan(self.context)):
            try:
                client.predict("tiny-policy", payload, **more)  # type: ignore[arg-type]
            except ClientError as error:
                return error.code
        return 200

    def received(self, traced: Traced, count: int) -> list[Received]:
        traced.collector.until(lambda: len(traced.collector.traces()[self.trace]) >= count)
        return traced.collector.traces()[self.trace]


def parts(spans: list[Received]) -> tuple[Received, Received, Received, list[Received]]:
    """The edge's span, that of its try, the worker's and those of its stages."""
    edge, attempt = (span for span in spans if span.service.endswith("-edge"))
    [worker] = [span for span in spans if span.name.startswith(("predict ", "explain "))]
    return edge, attempt, worker, [span for span in spans if span.parent == worker.id]


def assert_whole(spans: list[Received], caller: Caller, make: Make) -> None:
    """One tree of spans, each within its parent."""
    edge, attempt, worker, stages = parts(spans)
    assert (edge.parent, attempt.parent) == (caller.span, edge.id)
    assert worker.parent == (attempt.id if make is RestClient else edge.id)
    assert len(spans) == 3 + len(stages)
    assert edge.begin <= worker.begin
    assert worker.end <= edge.end
    assert all(first.end <= second.begin for first, second in pairwise(stages))
    assert worker.begin == stages[0].begin
    assert sum(stage.end - stage.begin for stage in stages) <= worker.end - worker.begin <= edge.end - edge.begin


@BOTH
def test_one_trace_from_the_edge_to_the_stages(traced: Traced, make: Make) -> None:
    caller = Caller()
    assert caller.ask(make, traced.edge) == 200
    spans = caller.received(traced, 7)
    assert_whole(spans, caller, make)
    edge, _, worker, stages = parts(spans)
    assert [stage.name for stage in stages] == STAGES
    assert not any(span.error for span in spans)
    assert (edge.name, worker.name) == ("POST tiny-policy", "predict tiny-policy")
    assert {edge.service, worker.service} == {"torchserve-bundle-edge", "torchserve-bundle"}
    assert traced.collector.headers[-1]["x-key"] == CREDENTIAL


@BOTH
def test_an_error_is_marked_where_it_happened(traced: Traced, make: Make) -> None:
    caller = Caller()
    assert caller.ask(make, traced.edge, payload=[1.0]) == 422
    spans = caller.received(traced, 6)
    assert_whole(spans, caller, make)
    _, _, worker, stages = parts(spans)
    assert (worker.error, worker.attributes["http.response.status_code"]) == (False, 422)
    assert [(stage.name, stage.error) for stage in stages] == [("queue", False), ("decode", True), ("encode", False)]
    assert stages[1].attributes["error.type"] == "InvalidInput"


@BOTH
def test_explanations(traced: Traced, make: Make) -> None:
    caller = Caller()
    with make(traced.edge) as client, use_span(NonRecordingSpan(caller.context)):
        client.explain(EXPLAINED, "goals and points", timeout=60)
    spans = caller.received(traced, 7)
    assert_whole(spans, caller, make)
    _, _, worker, stages = parts(spans)
    assert worker.name == f"explain {EXPLAINED}"
    assert [stage.name for stage in stages] == STAGES


@BOTH
def test_answers_in_pieces(traced: Traced, make: Make) -> None:
    caller = Caller()
    with make(traced.edge) as client, use_span(NonRecordingSpan(caller.context)):
        pieces = list(client.stream("tiny-writer", "once", parameters={"max_new_tokens": 3}))
    assert len(pieces) > 1
    spans = caller.received(traced, 7)
    assert_whole(spans, caller, make)
    assert parts(spans)[3][2].events == ("first piece sent",)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/tiny-policy:predict", {"instances": [GOOD, GOOD]}),
        (
            "/v2/models/tiny-policy/infer",
            {"inputs": [TENSOR]},
        ),
    ],
)
def test_kserve_s_paths(traced: Traced, path: str, body: dict[str, object]) -> None:
    caller = Caller()
    key = json.loads((traced.run / "edge_keys.json").read_text())["inference"]["key"]
    headers = {"authorization": f"Bearer {key}", "traceparent": f"00-{caller.trace}-{caller.span}-01"}
    answer = requests.post(
        traced.edge.inference + path, json=body, headers=headers, verify=str(traced.edge.ca_file), timeout=30
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["traceresponse"].split("-")[1] == caller.trace
    spans = caller.received(traced, 7)
    assert_whole(spans, caller, RestClient)
    assert parts(spans)[3][2].attributes["items"] == 2


@BOTH
def test_without_the_edge_a_worker_follows_its_caller(traced: Traced, make: Make) -> None:
    caller = Caller()
    assert caller.ask(make, traced.server) == 200
    worker, *stages = caller.received(traced, 4)
    assert (worker.parent, [stage.name for stage in stages]) == (caller.span, STAGES[1:])


@BOTH
def test_a_caller_s_no_is_taken(traced: Traced, make: Make) -> None:
    caller = Caller(sampled=False)
    assert caller.ask(make, traced.edge) == 200
    time.sleep(2.5)
    assert caller.trace not in traced.collector.traces()


@BOTH
def test_requests_of_one_batch(traced: Traced, make: Make) -> None:
    callers = [Caller() for _ in range(12)]
    threads = [threading.Thread(target=caller.ask, args=(make, traced.edge)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = set()
    for caller in callers:
        spans = caller.received(traced, 7)
        assert_whole(spans, caller, make)
        together.add(parts(spans)[3][2].attributes["batch.size"])
    assert together - {1}


def test_the_logs_have_the_trace(traced: Traced) -> None:
    """The edge's, and the worker's line of a request that it fails."""
    caller = Caller()
    assert caller.ask(RestClient, traced.edge, payload=b"[" * 100_000, content_type="application/json") == 400
    logs = traced.run / "logs"
    traced.collector.until(lambda: f'"trace_id":"{caller.trace}"' in (logs / "edge.log").read_text())
    assert not any(CREDENTIAL in path.read_text("utf-8", "replace") for path in logs.iterdir())


def test_a_worker_that_dies_leaves_what_it_had_answered(traced: Traced) -> None:
    callers = [Caller() for _ in range(20)]
    for caller in callers:
        assert caller.ask(RestClient, traced.edge) == 200
    time.sleep(1.5)
    with RestManagement(traced.server) as management:
        [worker] = management.describe("tiny-policy").workers
    os.kill(worker.pid, signal.SIGKILL)
    for caller in callers:
        assert_whole(caller.received(traced, 7), caller, RestClient)
    after = Caller()
    assert after.ask(GrpcClient, traced.edge) == 200  # of the worker that took over
    assert_whole(after.received(traced, 7), after, GrpcClient)


def test_dropped_spans_are_counted(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = str((state_of(traced.run) or {})["torchserve"]["metrics"]) + "/metrics"

    def dropped() -> float:
        page = requests.get(pages, timeout=10).text
        return sum(
            map(float, re.findall(r'^SpansDropped\{ModelName="tiny-policy".*\} ([\d.e+]+)$', page, re.MULTILINE))
        )

    before = dropped()
    monkeypatch.setattr(traced.collector, "status", 400)
    for _ in range(10):
        assert Caller().ask(RestClient, traced.edge) == 200
    traced.collector.until(lambda: dropped() >= before + 50)
    assert dropped() == before + 50
