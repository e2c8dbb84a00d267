"""A caller's trace goes along with its calls, over both protocols."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from client import GrpcClient
from client.tracing import context
from tests.client.fake_server import FakeServer
from tests.client.waiting import ALL, Make


@ALL
def test_a_call_belongs_to_the_current_span(fake_server: FakeServer, make: Make) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with make(fake_server.server) as client, tracer.start_as_current_span("work") as span:
        client.predict("echo", b"x")
        inner = span.get_span_context()
    [request] = fake_server.requests
    expected = f"00-{inner.trace_id:032x}-{inner.span_id:016x}-{inner.trace_flags:02x}"
    if "headers" in request:
        assert request["headers"]["traceparent"] == expected
    else:  # TorchServe hands on no metadata
        assert request["metadata"]["traceparent"] == expected
        assert request["input"]["traceparent"] == expected.encode()


def test_an_edge_is_told_by_metadata_alone(fake_server: FakeServer, tmp_path: Path) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with GrpcClient(fake_server.server) as client, tracer.start_as_current_span("work"):
        client.server = replace(client.server, ca_file=tmp_path / "tls.crt")  # as of an edge; the channel is there
        client.predict("echo", b"x")
    [request] = fake_server.requests
    assert "traceparent" in request["metadata"]
    assert "traceparent" not in request["input"]


@ALL
def test_without_a_span_nothing_is_added(fake_server: FakeServer, make: Make) -> None:
    assert context() == {}
    with make(fake_server.server) as client:
        client.predict("echo", b"x")
    [request] = fake_server.requests
    assert not any("traceparent" in request.get(place, {}) for place in ("headers", "metadata", "input"))


def test_the_clients_import_nothing_of_opentelemetry() -> None:
    code = (
        "import sys, client, client.tracing; assert client.tracing.context() == {}; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
