"""The edge's part in a trace: Envoy in front of mirrors."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.tracing.settings import Tracing
from tests.deploy.envoy.mirrors import mirrors
from tests.deploy.tracing.collector import Collector, collecting
from tests.deploy.tracing.edges import PARENT, REST, SECRET, Edge


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def trace() -> str:
    """A new one: spans of the test before may still be on their way."""
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def start(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Edge]]:
    """Starts edges, by OpenTelemetry's variables."""
    edges = []
    with mirrors() as ports:

        def make(split: bool = False, **variables: str) -> Edge:
            tracing = Tracing.of({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **variables})
            edges.append(Edge(tmp_path_factory.mktemp("edge"), *ports, tracing, split))
            return edges[-1]

        yield make
        for edge in edges:
            edge.stop()


@pytest.fixture(scope="module")
def edge(start: Callable[..., Edge]) -> Edge:
    return start(
        split=True,
        OTEL_EXPORTER_OTLP_HEADERS=f"x-key={SECRET}",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_SERVICE_NAME="models",
    )


@pytest.fixture(scope="module")
def half(start: Callable[..., Edge]) -> Edge:
    return start(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")


def ask(edge: Edge, protocol: str, **headers: str) -> dict[str, Any]:
    return edge.rest(**headers) if protocol == "REST" else edge.rpc(1, **headers)


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
def test_a_server_s_parent_is_the_edge_s_span(edge: Edge, collector: Collector, protocol: str, trace: str) -> None:
    before = time.time()
    got = ask(edge, protocol, traceparent=f"00-{trace}-{PARENT}-01", tracestate="a=b")
    collector.until(lambda: len(collector.traces()[trace]) == 2)
    request, attempt = collector.traces()[trace]
    version, trace, parent, flags = got["traceparent"].split("-")
    assert (version, trace, flags) == ("00", trace, "01")
    # Over gRPC the message is written before Envoy knows the span of a try.
    assert parent == (attempt.id if protocol == "REST" else request.id)
    assert (request.parent, attempt.parent) == (PARENT, request.id)
    assert (request.service, request.name, attempt.name) == ("models-edge", "POST model", "try 1")
    assert request.sender["deployment.environment.name"] == "test"
    assert before <= int(got["x-request-start"]) / 1e6 <= time.time()
    assert request.begin <= 1000 * int(got["x-request-start"]) <= request.end
    assert "x-edge-span" not in got
    assert collector.headers[-1]["x-key"] == SECRET


def test_a_message_gets_its_version_and_its_trace(edge: Edge) -> None:
    got = edge.rpc(100_000)
    assert (got["version"], got["length"]) == ("2.0", 100_000)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", got["traceparent"])


@pytest.mark.parametrize(("protocol", "path"), [
    ("REST", REST), ("gRPC", ""), ("REST", "/predictions/busy"), ("REST", "/nothing"), ("REST", "/v1/embeddings"),
])  # fmt: skip
def test_an_answer_names_its_trace(edge: Edge, collector: Collector, protocol: str, path: str, trace: str) -> None:
    """One of a server, of an error, and of the edge's own."""
    found = edge.traceresponse(protocol, path, traceparent=f"00-{trace}-{PARENT}-01")
    assert re.fullmatch(f"00-{trace}-[0-9a-f]{{16}}-01", found)
    collector.until(lambda: collector.traces()[trace] != [])
    assert found.split("-")[2] in {span.id for span in collector.traces()[trace] if span.parent == PARENT}


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
def test_an_answer_says_whether_its_trace_is_recorded(half: Edge, protocol: str, trace: str) -> None:
    for flags in ("01", "00"):
        assert half.traceresponse(protocol, traceparent=f"00-{trace}-{PARENT}-{flags}").endswith(f"-{flags}")


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
@pytest.mark.parametrize("flags", ["01", "03", "00"])
def test_a_caller_s_decision_counts(half: Edge, collector: Collector, protocol: str, flags: str) -> None:
    traces = {secrets.token_hex(16) for _ in range(8)}
    for trace in traces:
        got = ask(half, protocol, traceparent=f"00-{trace}-{PARENT}-{flags}")
        assert (got["traceparent"][:36], got["traceparent"][-2:]) == (f"00-{trace}-", "01" if flags != "00" else "00")
    if flags != "00":
        collector.until(lambda: traces <= collector.traces().keys())
    else:
        time.sleep(1.5)
        assert not traces & collector.traces().keys()


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
def test_a_share_is_traced_and_the_servers_know_which(half: Edge, collector: Collector, protocol: str) -> None:
    flags = {got[3:35]: got[-2:] for got in (ask(half, protocol)["traceparent"] for _ in range(200))}
    wanted = {trace for trace, flag in flags.items() if flag == "01"}
    assert 60 < len(wanted) < 140  # half of them, but with a probability below 1e-8
    collector.until(lambda: wanted <= collector.traces().keys())
    time.sleep(1.2)
    assert flags.keys() & collector.traces().keys() == wanted


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
@pytest.mark.parametrize("parent", ["junk", f"00-{'A' * 32}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", "00-" * 90])
def test_a_parent_that_cannot_be_read_refuses_nothing(edge: Edge, protocol: str, parent: str) -> None:
    got = ask(edge, protocol, traceparent=parent)
    assert got.get("code", 200) == 200


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
def test_nobody_but_the_edge_says_when_a_request_left_it(edge: Edge, half: Edge, protocol: str, trace: str) -> None:
    for each in (edge, half):
        got = ask(each, protocol, **{"x-request-start": "1", "x-edge-span": f"{trace}-{PARENT}"})
        assert int(got["x-request-start"]) > 10**15
        assert trace not in got["traceparent"]


def test_tries_and_refusals_are_marked(edge: Edge, collector: Collector, trace: str) -> None:
    got = edge.rest("/predictions/busy", traceparent=f"00-{trace}-{PARENT}-01")
    assert got["code"] == 503
    collector.until(lambda: len(collector.traces()[trace]) == 4)
    request, *tries = collector.traces()[trace]
    assert request.error
    assert [each.name for each in tries] == ["try 1", "try 2", "try 3"]
    assert all(each.error and each.attributes["http.status_code"] == "503" for each in tries)


def test_asking_for_readiness_is_not_traced(edge: Edge, collector: Collector, trace: str) -> None:
    parents = {"traceparent": f"00-{trace}-{PARENT}-01"}
    edge.session.get(f"{edge.address}/readyz", headers=parents, timeout=5)
    edge.rest(**parents)
    collector.until(lambda: len(collector.traces()[trace]) == 2)
    time.sleep(1.2)
    assert [span.attributes["http.method"] for span in collector.traces()[trace] if span.parent == PARENT] == ["POST"]


def test_the_log_has_the_trace(edge: Edge, trace: str) -> None:
    edge.rest(traceparent=f"00-{trace}-{PARENT}-01")
    end = time.monotonic() + 10
    while f'"trace_id":"{trace}"' not in edge.log.read_text():
        assert time.monotonic() < end
        time.sleep(0.1)
    assert SECRET not in edge.log.read_text()


def test_off_nothing_is_sent_or_added(start: Callable[..., Edge], collector: Collector, trace: str) -> None:
    edge = start(OTEL_SDK_DISABLED="true")
    sent = {"traceparent": f"00-{trace}-{PARENT}-01", "x-request-start": "1"}
    assert {name: edge.rest(**sent).get(name) for name in sent} == {**sent, "x-request-start": None}
    assert edge.rpc(1, **sent).keys() == {"length", "version"}
    assert edge.traceresponse("REST", **sent) == edge.traceresponse("gRPC", **sent) == ""
    time.sleep(1.5)
    assert trace not in collector.traces()
    assert "trace_id" not in edge.log.read_text()


@pytest.mark.parametrize("failure", ["refuses", "is slow"])
def test_a_collector_that_fails_costs_no_request(
    edge: Edge, collector: Collector, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, *(("status", 500) if failure == "refuses" else ("delay", 2.0)))
    took = []
    for _ in range(60):
        before = time.perf_counter()
        assert edge.rest()["code"] == 200
        took.append(time.perf_counter() - before)
        time.sleep(0.02)
    assert sorted(took)[-3] < 0.5
