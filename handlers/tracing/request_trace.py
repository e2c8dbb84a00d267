"""The trace that a request belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.trace import Span, format_trace_id


@dataclass
class RequestTrace:
    """span: the request's. queued: when the edge passed it on, in ns since 1970; None if that is not known."""

    span: Span
    queued: int | None

    @property
    def id(self) -> str:
        return format_trace_id(self.span.get_span_context().trace_id)
