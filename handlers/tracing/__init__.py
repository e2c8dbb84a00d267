"""OpenTelemetry spans of the requests that a worker answers: its stages, in the trace of the caller or of the edge.

Nothing of OpenTelemetry is imported while tracing is off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handlers.tracing.tracer import Tracer

# `deploy` sets it where requests are traced (deploy/tracing/settings.py), with the SDK's other variables.
ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def tracer_of(model: str, version: str) -> Tracer | None:
    """Of this worker, which sends what it records from now on; None where requests are not traced."""
    if not os.environ.get(ENDPOINT):
        return None
    from handlers.tracing.tracer import Tracer

    tracer = Tracer(model, version)
    tracer.start()
    return tracer
