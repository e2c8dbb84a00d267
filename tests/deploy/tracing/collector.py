"""A collector: takes spans over HTTP as OTLP has it, read by OpenTelemetry's own messages."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class Received:
    """A span. begin, end: ns since 1970. service: the name that its sender goes by. error: whether it is marked so."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    begin: int
    end: int
    error: bool
    attributes: Mapping[str, object]
    events: tuple[str, ...] = ()
    sender: Mapping[str, object] = field(default_factory=dict)


class Collector:
    """status: it answers with, instead of taking the spans. delay: seconds before it answers."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.headers: list[dict[str, str]] = []
        self.status, self.delay = 200, 0.0
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = b"".join(self.chunks())
                time.sleep(collector.delay)
                wanted = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
                if wanted and collector.status == 200:
                    collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                    collector.spans += spans_of(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status if wanted else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def chunks(self) -> Iterator[bytes]:
                if self.headers.get("transfer-encoding") != "chunked":
                    yield self.rfile.read(int(self.headers["content-length"]))
                    return
                while length := int(self.rfile.readline(), 16):
                    yield self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def traces(self) -> dict[str, list[Received]]:
        """The spans of each trace, by their beginning."""
        found: defaultdict[str, list[Received]] = defaultdict(list)
        for span in sorted(self.spans, key=lambda span: (span.begin, -span.end)):
            found[span.trace].append(span)
        return found

    def until(self, come: Callable[[], bool]) -> None:
        """Wait for what is on its way."""
        end = time.monotonic() + PATIENCE
        while not come():
            assert time.monotonic() < end, [(span.trace, span.service, span.name) for span in self.spans]
            time.sleep(0.05)


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for resource in request.resource_spans:
        sender = values(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    str(sender["service.name"]),
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == 2,
                    values(span.attributes),
                    tuple(event.name for event in span.events),
                    sender,
                )


def values(attributes: object) -> dict[str, object]:
    found = {}
    for each in attributes:  # type: ignore[attr-defined]
        assert isinstance(each, KeyValue)
        found[each.key] = value_of(each.value)
    return found


def value_of(value: AnyValue) -> object:
    return getattr(value, str(value.WhichOneof("value")))
