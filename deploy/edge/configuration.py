"""Envoy's configuration as the edge: one TLS port for REST and gRPC, keys, rates, limits, retries, readiness.

Built here and not written by hand, because keys, rates and addresses are not known before; `docs/edge.md` says what it
does and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.edge.clients import Client
from deploy.edge.clusters import cluster, plain_cluster
from deploy.edge.listener import edge_listener, stats_listener
from deploy.edge.network import Listeners, Upstream, socket_address


def configuration(
    clients: Mapping[str, Client],
    upstream: Upstream,
    listeners: Listeners,
    certificate: Path,
    key: Path,
    grafana: str | None = None,
) -> dict[str, Any]:
    """The whole configuration, as Envoy reads it from YAML or JSON. grafana: its host, where it is served as well."""
    clusters = [
        cluster("rest", upstream, upstream.rest),
        cluster("grpc", upstream, upstream.grpc, http2=True),
        cluster("management", upstream, upstream.management),
        cluster("grpc_management", upstream, upstream.grpc_management, http2=True),
        plain_cluster("admin", {"pipe": {"path": str(listeners.admin)}}),
    ]
    if grafana:
        clusters.append(plain_cluster("grafana", socket_address(grafana, 3000)))
    return {
        "admin": {"address": {"pipe": {"path": str(listeners.admin), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                edge_listener(clients, upstream, listeners, certificate, key, bool(grafana)),
                stats_listener(listeners),
            ],
            "clusters": clusters,
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors"
                        ".downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 10_000,
                    },
                }
            ]
        },
    }
