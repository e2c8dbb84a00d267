"""OpenTelemetry spans of the requests that a worker answers and of its stages, in the trace of the caller or the edge.

OpenTelemetry is not imported while tracing is off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handlers.tracing.tracer import Tracer

# Set by `deploy` if requests are traced (deploy/tracing/settings.py), with the SDK's other variables.
ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def tracer_of(model: str, version: str) -> Tracer | None:
    """Start this worker's tracer; None if requests are not traced."""
    if not os.environ.get(ENDPOINT):
        return None
    from handlers.tracing.tracer import Tracer

    tracer = Tracer(model, version)
    tracer.start()
    return tracer
