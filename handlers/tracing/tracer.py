"""Records the spans of answered batches, and sends them in the background.

A request's own span begins before it is decoded, so that the log can name its trace. All others are made by a thread
once the request has been answered, from the times of the batch's stages, which the histograms use too. The thread's
queue is bounded: while a collector is slow or away, any more spans are dropped and counted. The SDK's own processor of
batches would make all spans in the request's time, and does not report what it drops.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from handlers.batching.request_state import Batch, RequestState
from handlers.errors import RequestError
from handlers.protocol.response import Response
from handlers.protocol.trace_context import START, carried, started
from handlers.tracing import log_lines
from handlers.tracing.request_trace import RequestTrace

INTERVAL = 1.0  # seconds between messages; a worker that dies loses no more than that
MOST_WAITING = 8192  # spans: some 5 MB
MOST_SENT = 512  # spans in a message to the collector
QUIET = 60.0  # seconds between two log lines about a failing collector
SUFFIX = ".explain"
SCOPE = "torchserve-bundle"
EXPORTER_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Stage(NamedTuple):
    """begin, end: ns since 1970. error: type of the error that it ended with, or ""."""

    name: str
    begin: int
    end: int
    error: str = ""
    attributes: Mapping[str, int] = {}
    piece: int | None = None  # when the first piece of a streamed answer was sent


class Answered(NamedTuple):
    """An answered request, without its content."""

    span: Span
    stages: Sequence[Stage]
    status: int
    end: int


class Ended(SpanProcessor):
    """Keeps ended spans for the thread that sends them."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def take(self) -> list[ReadableSpan]:
        taken, self.spans = self.spans, []
        return taken


class RarelySaid(logging.Filter):
    """Lets a line through every QUIET seconds: an exporter logs each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = monotonic()
        if now < self.next:
            return False
        self.next = now + QUIET
        return True


class Tracer:
    """The tracer of one worker; OpenTelemetry's variables set which requests are traced and where spans go."""

    def __init__(self, model: str, version: str) -> None:
        self.name = f"explain {model.removesuffix(SUFFIX)}" if model.endswith(SUFFIX) else f"predict {model}"
        self.attributes = {"model.name": model, "model.version": version}
        self.ended = Ended()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.ended)
        self.tracer = self.provider.get_tracer(SCOPE)
        self.scope = InstrumentationScope(SCOPE)
        self.propagator = TraceContextTextMapPropagator()
        logging.getLogger(EXPORTER_LOG).addFilter(RarelySaid())
        self.exporter = OTLPSpanExporter()
        self.answered: deque[Answered] = deque()
        self.lock = Lock()
        self.waiting = self.dropped = 0  # spans
        self.many = Event()

    def start(self) -> None:
        log_lines.install()
        Thread(target=self.run, name="traces", daemon=True).start()

    def decoding(self, decode: Callable[..., RequestState[Any, Any]], begin: int) -> Callable[..., Any]:
        """`decode`, a handler's `decode_request`, with tracing, for a batch that arrived at `begin` (ns since 1970)."""

        def traced(row: Mapping[str, Any], headers: Mapping[str, Any], *more: Any) -> RequestState[Any, Any]:
            trace = self.begin(row, headers, begin)
            with log_lines.traced((trace.id,)):
                state = decode(row, headers, *more)
            state.trace = trace
            return state

        return traced

    def begin(self, row: Mapping[str, Any], headers: Mapping[str, Any], begin: int) -> RequestTrace:
        carrier = carried(row, headers)
        queued = started(carrier.get(START, ""), begin)
        span = self.tracer.start_span(
            self.name,
            self.propagator.extract(carrier, Context()),
            SpanKind.SERVER,
            self.attributes,
            start_time=begin if queued is None else queued,
        )
        return RequestTrace(span, queued)

    def logging(self, states: Sequence[RequestState[Any, Any]]) -> AbstractContextManager[None]:
        """Lines logged in this context name the traces of these requests."""
        return log_lines.traced([state.trace.id for state in states if state.trace])

    def add(self, batch: Batch[Any, Any], answers: Sequence[Response]) -> None:
        """Queue the spans of an answered batch; the batch itself is not kept."""
        size, boundaries = sum(not state.describe for state in batch.states), batch.stages.boundaries()
        for state, answer, stream in zip(batch.states, answers, batch.streams, strict=True):
            if state.trace is None or state.describe or not state.trace.span.is_recording():
                continue
            stages = list(stages_of(state, answer, boundaries, size, stream.first_piece))
            count = len(stages) + 1
            with self.lock:
                room = self.waiting + count <= MOST_WAITING
                self.waiting += count if room else 0
                self.dropped += 0 if room else count
            if room:
                self.answered.append(Answered(state.trace.span, stages, answer.status, stages[-1].end))
        if self.waiting >= MOST_WAITING // 2:
            self.many.set()

    def take_dropped(self) -> int:
        """The number of spans dropped since the last call."""
        with self.lock:
            taken, self.dropped = self.dropped, 0
        return taken

    def run(self) -> None:
        while True:
            self.many.wait(INTERVAL)
            self.many.clear()
            self.send()

    def send(self) -> None:
        """Send all that is queued, one message after the other. Returns at the latest when the exporter gives up."""
        while self.answered:
            while self.answered and len(self.ended.spans) < MOST_SENT:
                self.finish(self.answered.popleft())
            spans = self.ended.take()
            sent = self.exporter.export(spans) is SpanExportResult.SUCCESS
            with self.lock:
                self.waiting -= len(spans)
                self.dropped += 0 if sent else len(spans)

    def finish(self, answered: Answered) -> None:
        """End a request's span, after those of its stages."""
        span = answered.span
        self.ended.spans += [self.span_of(stage, span.get_span_context()) for stage in answered.stages]
        span.set_attribute("http.response.status_code", answered.status)
        if answered.status >= 400:
            span.set_attribute("error.type", str(answered.status))
        if answered.status >= 500:  # a caller's own error is not the server's
            span.set_status(Status(StatusCode.ERROR))
        span.end(answered.end)

    def span_of(self, stage: Stage, parent: SpanContext) -> ReadableSpan:
        """A stage's span as the SDK hands it to an exporter, without its work on running spans: a tenth of the time."""
        own = self.provider.id_generator.generate_span_id()
        error = {"error.type": stage.error} if stage.error else {}
        piece = [] if stage.piece is None else [SpanEvent("first piece sent", timestamp=stage.piece)]
        return ReadableSpan(
            stage.name,
            SpanContext(parent.trace_id, own, is_remote=False, trace_flags=parent.trace_flags),
            parent,
            self.provider.resource,
            {**stage.attributes, **error},
            piece,
            status=Status(StatusCode.ERROR) if stage.error else Status(),
            start_time=stage.begin,
            end_time=stage.end,
            instrumentation_scope=self.scope,
        )


def stages_of(
    state: RequestState[Any, Any], answer: Response, boundaries: Sequence[int], size: int, piece: int | None
) -> Iterator[Stage]:
    """The stages that a request went through. boundaries: times between the batch's stages, in ns since 1970.

    size: of the batch, in requests. piece: as in Stage.
    """
    begin, decoded, predicted, encoded = boundaries
    trace = state.trace
    if trace is not None and trace.queued is not None:
        yield Stage("queue", trace.queued, begin)
    refused = state.error.type if state.error else ""
    yield Stage("decode", begin, decoded, refused)
    failed = next((output.type for output in state.outputs if isinstance(output, RequestError)), "")
    if not refused and not state.explain:
        yield Stage("inference", decoded, predicted, failed, {"batch.size": size, "items": len(state.items)}, piece)
    broken = str(answer.status) if answer.status >= 400 and not refused and not failed else ""
    yield Stage("encode", predicted, encoded, broken)
