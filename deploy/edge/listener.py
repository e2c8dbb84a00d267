"""Envoy's listeners: the TLS port, and the statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.edge import certificate, routes
from deploy.edge.discovery import watched_file
from deploy.edge.filters import TYPE, filters, named
from deploy.edge.limits import BUFFER, MAX_HEADERS, STREAMS, UPLOAD
from deploy.edge.network import Listeners, Upstream, socket_address
from deploy.edge.replies import access_log, local_replies
from deploy.tracing.envoy import manager_of
from deploy.tracing.settings import Tracing


def edge_listener(
    upstream: Upstream, listeners: Listeners, folder: Path, tracing: Tracing | None = None
) -> dict[str, Any]:
    """folder: of the files that change while the edge runs."""
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [
                {"name": certificate.SECRET, "sds_config": watched_file(folder, certificate.FILE)}
            ],
        },
    }
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        "server_name": "edge",
        "use_remote_address": True,
        "generate_request_id": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "max_request_headers_kb": MAX_HEADERS,
        "http2_protocol_options": {"max_concurrent_streams": STREAMS},
        "request_headers_timeout": "10s",
        "request_timeout": f"{UPLOAD}s",
        "stream_idle_timeout": "90s",
        "drain_timeout": "10s",
        "access_log": [access_log(tracing is not None)],
        "local_reply_config": local_replies(),
        "rds": {
            "route_config_name": routes.CONFIGURATION,
            "config_source": watched_file(folder, routes.FILE),
        },
        "http_filters": filters(folder, upstream, tracing),
    }
    if tracing:
        manager["tracing"] = manager_of(tracing)
    return {
        "name": "edge",
        "address": socket_address(listeners.host, listeners.port),
        "per_connection_buffer_limit_bytes": BUFFER,
        "filter_chains": [
            {
                "transport_socket_connect_timeout": "10s",  # a connection without a handshake holds a place
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
        ],
    }


def stats_listener(listeners: Listeners) -> dict[str, Any]:
    """Envoy's statistics for Prometheus and its liveness, and nothing else of its admin interface."""
    paths = ("/stats/prometheus", "/ready")
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "stats",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"path": path}, "route": {"cluster": "admin"}} for path in paths],
                }
            ]
        },
        "http_filters": [named("router", "http.router.v3.Router")],
    }
    return {
        "name": "stats",
        "address": socket_address(listeners.stats_host, listeners.stats_port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
