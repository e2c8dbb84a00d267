"""Propagates the caller's OpenTelemetry context with a call, as W3C Trace Context."""

from __future__ import annotations

import sys


def context() -> dict[str, str]:
    """`traceparent` and `tracestate` of the current span; empty if the program does not use OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:  # a program with a span has imported it
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier
