"""OpenTelemetry tracing of the edge and the workers, configured by the standard OTEL_* variables."""
