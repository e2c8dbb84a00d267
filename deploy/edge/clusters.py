"""Envoy's clusters: the servers' ports, with health checks that tell whether all, some or none of the models answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.edge.limits import BUFFER, SIZES, SizeClass
from deploy.edge.network import GRPC_SHADOW, REST_SHADOW, Upstream, socket_address

MOST_SERVERS = 1000  # of which one that has all its models takes all requests


def sized(name: str, size: SizeClass) -> str:
    """The cluster that takes a protocol's requests of one size."""
    return f"{name}_{size.name}"


def prediction_clusters(upstream: Upstream) -> list[dict[str, Any]]:
    """A cluster for each protocol and size: Envoy limits what is in flight by the cluster."""
    ports = (
        ("rest", upstream.rest, False),
        ("grpc", upstream.grpc, True),
        ("open_inference", upstream.open_inference, True),
    )
    return [cluster(sized(name, size), upstream, port, http2, size) for name, port, http2 in ports for size in SIZES]


def status_cluster(upstream: Upstream) -> dict[str, Any]:
    """The servers' descriptions of their models."""
    return cluster("status", upstream, upstream.status, check="/admitted")


def management_clusters(upstream: Upstream) -> list[dict[str, Any]]:
    """Whatever the models do: a server whose last one is being unregistered is still to be managed."""
    ports = ("management", upstream.management, False), ("grpc_management", upstream.grpc_management, True)
    return [cluster(name, upstream, port, http2, check="/admitted") for name, port, http2 in ports]


def cluster(
    name: str,
    upstream: Upstream,
    port: int,
    http2: bool = False,
    size: SizeClass = SIZES[0],
    check: str = "/available",
) -> dict[str, Any]:
    """All servers' port; one that lacks a model gets something only where all do. size: of the requests it takes.

    check: the path of the servers' status that says whether one takes requests.
    """
    # Where a connection carries many requests, it is the number of these that makes the next one wait.
    protocol: dict[str, Any] = (
        {"http2_protocol_options": {"max_concurrent_streams": size.in_flight}}
        if http2
        else {"http_protocol_options": {}}
    )
    endpoint = {
        "address": socket_address(upstream.host, port),
        "health_check_config": {"port_value": upstream.status},
    }
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_ONLY",
        "dns_refresh_rate": "2s",
        "respect_dns_ttl": False,
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",
        "per_connection_buffer_limit_bytes": BUFFER,
        # Never send to a server that is not ready because most are not.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "ignore_health_on_host_removal": True,
        "health_checks": [
            {
                "timeout": "2s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                # Of checks without an answer, as on a machine that is busy; "not ready" counts at once.
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": check},
            }
        ],
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": size.in_flight,
                    "max_requests": size.in_flight,
                    "max_pending_requests": size.waiting,
                    "max_retries": 1024,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                # TorchServe closes a connection after each error answer, and idle ones when it ends.
                "common_http_protocol_options": {"idle_timeout": "30s"},
                "explicit_http_config": protocol,
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
            # By default a third of the traffic of two servers would go to the one that is degraded.
            "policy": {"overprovisioning_factor": 100 * MOST_SERVERS},
        },
    }


def shadow_clusters(folder: Path) -> list[dict[str, Any]]:
    """Where copies of calls go; folder: of the sockets, on which somebody listens now and then."""
    http2 = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    rest = plain_cluster("shadow_rest", {"pipe": {"path": str(folder / REST_SHADOW)}})
    grpc = plain_cluster("shadow_grpc", {"pipe": {"path": str(folder / GRPC_SHADOW)}})
    return [rest, {**grpc, "typed_extension_protocol_options": http2}]


def plain_cluster(name: str, address: dict[str, Any]) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC" if "pipe" in address else "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
