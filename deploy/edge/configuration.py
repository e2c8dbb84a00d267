"""Envoy's configuration as the edge: one TLS port for REST and gRPC, keys, rates, limits, retries, readiness.

Built here and not written by hand, because keys, rates and addresses are not known before; `docs/edge.md` says what it
does and why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.edge.clusters import (
    management_clusters,
    plain_cluster,
    prediction_clusters,
    shadow_clusters,
    status_cluster,
)
from deploy.edge.limits import CONNECTIONS, MEMORY, RELEASED
from deploy.edge.listener import edge_listener, stats_listener
from deploy.edge.network import Listeners, Upstream, socket_address
from deploy.tracing import envoy
from deploy.tracing.settings import Tracing

BOOTSTRAP = "envoy.json"
RUNTIME = {
    "re2.max_program_size.error_level": 20_000,
    "re2.max_program_size.warn_level": 20_000,
    # What is in use, not what the allocator has not given back yet.
    "envoy.reloadable_features.fixed_heap_use_allocated": True,
    # Of an HTTP/2 connection that opens streams faster than they can be reset, no more than these before others' turn.
    "http.max_requests_per_io_cycle": 8,
}


def configuration(
    upstream: Upstream,
    listeners: Listeners,
    watched: Path,
    grafana: str | None = None,
    tracing: Tracing | None = None,
) -> dict[str, Any]:
    """What Envoy starts with, as YAML or JSON. watched: the folder of the rest, which changes while it runs
    (deploy/edge/watched.py). grafana: its host, where it is served as well.
    """
    clusters = [
        *prediction_clusters(upstream),
        *management_clusters(upstream),
        status_cluster(upstream),
        plain_cluster("admission", socket_address(upstream.host, upstream.status)),
        *shadow_clusters(listeners.admin.parent),
        plain_cluster("admin", {"pipe": {"path": str(listeners.admin)}}),
    ]
    if tracing:
        clusters.append(envoy.cluster_of(tracing))
    if grafana:
        clusters.append(plain_cluster("grafana", socket_address(grafana, 3000)))
    return {
        "node": {"id": "edge", "cluster": "edge"},  # wanted of whoever discovers
        "admin": {"address": {"pipe": {"path": str(listeners.admin), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                edge_listener(upstream, listeners, watched, tracing),
                stats_listener(listeners),
            ],
            "clusters": clusters,
        },
        "overload_manager": overload_manager(),
        "memory_allocator_manager": {"bytes_to_release": RELEASED, "memory_release_interval": "1s"},
        # Names with a longest length make long programs of our regular expressions, which take linear time even so.
        "layered_runtime": {"layers": [{"name": "edge", "static_layer": RUNTIME | (envoy.RUNTIME if tracing else {})}]},
    }


def overload_manager() -> dict[str, Any]:
    """The edge holds each body until it is answered; it is to refuse before the machine ends it."""
    monitors = "type.googleapis.com/envoy.extensions.resource_monitors"
    heap = "envoy.resource_monitors.fixed_heap"
    return {
        "refresh_interval": "0.25s",
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 20},  # bodies from 1 MiB
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{monitors}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": CONNECTIONS,
                },
            },
            {
                "name": heap,
                "typed_config": {
                    "@type": f"{monitors}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": MEMORY,
                },
            },
        ],
        "actions": [
            # Those of most memory first, so that callers with small bodies do not notice.
            {
                "name": "envoy.overload_actions.reset_high_memory_stream",
                "triggers": [{"name": heap, "scaled": {"scaling_threshold": 0.75, "saturation_threshold": 0.9}}],
            },
            {
                "name": "envoy.overload_actions.stop_accepting_requests",
                "triggers": [{"name": heap, "threshold": {"value": 0.95}}],
            },
        ],
    }
