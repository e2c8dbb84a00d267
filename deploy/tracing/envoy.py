"""Tracing at the edge, in Envoy's configuration."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from deploy.tracing.settings import Tracing

EXTENSIONS = "type.googleapis.com/envoy.extensions"
TRACERS = "envoy.tracers.opentelemetry"
CLUSTER = "traces"
MILLION = 1_000_000
# Passes the edge's own span to requests.lua, because Envoy writes a traceparent only after the filters.
SPAN = "x-edge-span"
# Envoy sends spans once it has this many, or after this many milliseconds.
RUNTIME = {"tracing.opentelemetry.min_flush_spans": 256, "tracing.opentelemetry.flush_interval_ms": 1000}
TIMEOUT = "5s"
MOST_SENDING = 4  # concurrent requests to the collector; spans beyond that are dropped
SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def manager_of(tracing: Tracing) -> dict[str, Any]:
    """The part of the HTTP connection manager's configuration under `tracing`."""
    address = tracing.url
    return {
        # The sampler alone decides; Envoy's own decision depends on the request id.
        "random_sampling": {"value": 100},
        "spawn_upstream_span": True,  # one span per try
        "operation": "%REQ(:METHOD)% %DYNAMIC_METADATA(edge:model)%",
        "upstream_operation": "try %UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "provider": {
            "name": TRACERS,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "service_name": f"{tracing.service}-edge",
                "http_service": {
                    "http_uri": {"uri": address.geturl(), "cluster": CLUSTER, "timeout": TIMEOUT},
                    "request_headers_to_add": [
                        {"header": {"key": name, "value": value.replace("%", "%%")}}
                        for name, value in tracing.headers.items()
                    ],
                },
                "resource_detectors": [
                    extension(
                        "resource_detectors.static_config",
                        "resource_detectors.v3.StaticConfigResourceDetectorConfig",
                        attributes=dict(tracing.attributes),
                    )
                ],
                "sampler": sampler(tracing),
            },
        },
    }


def sampler(tracing: Tracing) -> dict[str, Any]:
    percentage = {"numerator": threshold(tracing), "denominator": "MILLION"}
    ratio = extension(
        "samplers.trace_id_ratio_based",
        "samplers.v3.TraceIdRatioBasedSamplerConfig",
        sampling_percentage=percentage,
    )
    if not tracing.parent_based:
        return ratio
    return extension("samplers.parent_based", "samplers.v3.ParentBasedSamplerConfig", wrapped_sampler=ratio)


def threshold(tracing: Tracing) -> int:
    """Number of traced requests per million whose callers have not decided."""
    return round(tracing.ratio * MILLION)


def extension(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    config = {"@type": f"{EXTENSIONS}.tracers.opentelemetry.{kind}", **fields}
    return {"name": f"{TRACERS}.{name}", "typed_config": config}


def filter_of_spans() -> dict[str, Any]:
    """A filter that puts the edge's own span into a header for requests.lua, which removes it."""
    return {
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": f"{EXTENSIONS}.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "request_mutations": [
                    {
                        "append": {
                            "header": {"key": SPAN, "value": "%TRACE_ID%-%SPAN_ID%"},
                            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                        }
                    }
                ]
            },
        },
    }


def cluster_of(tracing: Tracing) -> dict[str, Any]:
    """The collector's cluster. A missing or slow collector costs a few connections and its spans."""
    host = str(tracing.url.hostname)
    address = {"socket_address": {"address": host, "port_value": tracing.port}}
    made: dict[str, Any] = {
        "name": CLUSTER,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "2s",
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": MOST_SENDING, "max_pending_requests": MOST_SENDING, "max_requests": MOST_SENDING}
            ]
        },
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if tracing.url.scheme == "https":
        trusted = {"filename": tracing.certificate or SYSTEM_CERTIFICATES}
        matcher = {"san_type": "IP_ADDRESS" if is_address(host) else "DNS", "matcher": {"exact": host}}
        context = {
            "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
            **({} if is_address(host) else {"sni": host}),
            "common_tls_context": {
                "validation_context": {"trusted_ca": trusted, "match_typed_subject_alt_names": [matcher]}
            },
        }
        made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return made


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
