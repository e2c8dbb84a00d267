"""Envoy's configuration as the edge: one TLS port for REST and gRPC, keys, rates, limits, retries, readiness.

Built here and not written by hand, because keys, rates and addresses are not known before; `docs/edge.md` says what it
does and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.configuration import PROJECT
from deploy.edge_clients import Client

TYPE = "type.googleapis.com/envoy.extensions.filters"
LUA = PROJECT / "docker" / "edge" / "errors.lua"
CLIENT_HEADER = "x-client"
MAX_REQUEST = 24 << 20  # bytes, as TorchServe's max_request_size
BUFFER = 32 << 20  # bytes of a request or answer held at most: for retries, and for errors.lua
TRY, TOTAL = "35s", "75s"  # TorchServe answers within 30 s or gives up; two tries must fit
RETRIES = 2
NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "RequestTimeout",
    413: "TooLarge",
    429: "TooManyRequests",
    503: "Unavailable",
    504: "DeadlineExceeded",
}


@dataclass(frozen=True)
class Upstream:
    """Where the servers are. host: an address, or a name with one address for each server.

    tokens: TorchServe's own key for a cluster, where it asks for one.
    """

    host: str
    rest: int
    grpc: int
    management: int
    grpc_management: int
    status: int
    tokens: Mapping[str, str]


@dataclass(frozen=True)
class Listeners:
    """host: of the TLS port. admin: path of Envoy's own unix socket. stats_host: who may read Prometheus's page."""

    host: str
    port: int
    stats_host: str
    stats_port: int
    admin: Path


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


def plain_cluster(name: str, address: dict[str, Any]) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC" if "pipe" in address else "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def cluster(name: str, upstream: Upstream, port: int, http2: bool = False) -> dict[str, Any]:
    """All servers' port; those whose models do not all answer get nothing."""
    protocol: dict[str, Any] = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
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
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/readyz"},
            }
        ],
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096, "max_retries": 1024}
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
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }


def edge_listener(
    clients: Mapping[str, Client],
    upstream: Upstream,
    listeners: Listeners,
    certificate: Path,
    key: Path,
    grafana: bool,
) -> dict[str, Any]:
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [
                {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
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
        "http2_protocol_options": {"max_concurrent_streams": 256},
        "request_headers_timeout": "10s",
        "request_timeout": "60s",
        "stream_idle_timeout": "90s",
        "drain_timeout": "10s",
        "access_log": [access_log()],
        "local_reply_config": local_replies(),
        "route_config": {
            "name": "edge",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes(clients, upstream, grafana)}],
        },
        "http_filters": filters(clients),
    }
    return {
        "name": "edge",
        "address": socket_address(listeners.host, listeners.port),
        "per_connection_buffer_limit_bytes": BUFFER,
        "filter_chains": [
            {
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
        ],
    }


def filters(clients: Mapping[str, Client]) -> list[dict[str, Any]]:
    """In the order a request meets them: readiness needs no key; a rate is a client's, so the key comes before it."""
    buckets = [
        {
            "entries": [{"key": "client", "value": name}],
            "token_bucket": {
                "max_tokens": client.burst,
                "tokens_per_fill": client.requests_per_second,
                "fill_interval": "1s",
            },
        }
        for name, client in clients.items()
    ]
    everywhere = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return [
        named(
            "health_check",
            "http.health_check.v3.HealthCheck",
            pass_through_mode=False,
            headers=[{"name": ":path", "string_match": {"exact": "/readyz"}}],
            cluster_min_healthy_percentages={name: {"value": 1} for name in ("rest", "grpc")},
        ),
        named(
            "api_key_auth",
            "http.api_key_auth.v3.ApiKeyAuth",
            credentials=[{"key": client.key, "client": name} for name, client in clients.items()],
            key_sources=[{"header": "authorization"}],
            forwarding={"header": CLIENT_HEADER},
        ),
        named(
            "local_ratelimit",
            "http.local_ratelimit.v3.LocalRateLimit",
            stat_prefix="rate",
            token_bucket={"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"},
            filter_enabled={"runtime_key": "rate_enabled", **everywhere},
            filter_enforced={"runtime_key": "rate_enforced", **everywhere},
            rate_limited_as_resource_exhausted=True,
            rate_limits=[
                {"actions": [{"request_headers": {"header_name": CLIENT_HEADER, "descriptor_key": "client"}}]}
            ],
            descriptors=buckets,
        ),
        named("buffer", "http.buffer.v3.Buffer", max_request_bytes=MAX_REQUEST),
        named("lua", "http.lua.v3.Lua", default_source_code={"inline_string": LUA.read_text(encoding="utf-8")}),
        named("router", "http.router.v3.Router"),
    ]


def named(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{TYPE}.{kind}", **fields}}


def routes(clients: Mapping[str, Client], upstream: Upstream, grafana: bool) -> list[dict[str, Any]]:
    admins = [name for name, client in clients.items() if client.admin]
    # A prediction changes nothing, so one that a dying or overloaded server did not answer goes to another.
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes,unavailable",
        "retriable_status_codes": [503],
        "num_retries": RETRIES,
        "per_try_timeout": TRY,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }

    def route(match: dict[str, Any], cluster: str, admin: bool = False) -> dict[str, Any]:
        made: dict[str, Any] = {"match": match, "route": {"cluster": cluster, "timeout": TOTAL}}
        if admin:
            made["route"]["timeout"] = "600s"  # registering waits until the workers have loaded the model
            made["typed_per_filter_config"] = {
                "envoy.filters.http.api_key_auth": {
                    "@type": f"{TYPE}.http.api_key_auth.v3.ApiKeyAuthPerRoute",
                    "allowed_clients": admins or ["-"],
                }
            }
        else:
            made["route"]["retry_policy"] = retry
        token = upstream.tokens.get(cluster)
        if token:
            made["request_headers_to_add"] = [
                {
                    "header": {"key": "authorization", "value": f"Bearer {token}"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ]
        else:
            made["request_headers_to_remove"] = ["authorization"]  # a caller's key is the edge's affair alone
        return made

    package = "/org.pytorch.serve.grpc"
    return [
        *([grafana_route()] if grafana else []),
        route({"prefix": f"{package}.inference.InferenceAPIsService/"}, "grpc"),
        route({"prefix": f"{package}.management.ManagementAPIsService/"}, "grpc_management", admin=True),
        route({"prefix": "/predictions/"}, "rest"),
        route({"safe_regex": {"regex": r"/v1/models/[^/]+:predict"}}, "rest"),
        route({"safe_regex": {"regex": r"/v2/models/[^/]+/infer"}}, "rest"),
        route({"path": "/models"}, "management", admin=True),
        route({"prefix": "/models/"}, "management", admin=True),
        {
            "match": {"prefix": "/"},
            "direct_response": {
                "status": 404,
                "body": {"inline_string": "no such path; there is /predictions/{model}"},
            },
        },
    ]


def grafana_route() -> dict[str, Any]:
    """Grafana asks for a password of its own, in a form: browsers have no key to send."""
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True, "config": {}}
    return {
        "match": {"prefix": "/grafana"},
        "route": {"cluster": "grafana", "timeout": "60s", "upgrade_configs": [{"upgrade_type": "websocket"}]},
        "typed_per_filter_config": {
            f"envoy.filters.http.{name}": off for name in ("api_key_auth", "local_ratelimit", "lua")
        },
    }


def local_replies() -> dict[str, Any]:
    """What the edge itself answers has the form of every other error: {"code", "type", "message"}."""

    def body(type: str) -> dict[str, Any]:
        return {"json_format": {"code": "%RESPONSE_CODE%", "type": type, "message": "%LOCAL_REPLY_BODY%"}}

    def status(code: int, operator: str) -> dict[str, Any]:
        value = {"default_value": code, "runtime_key": "unused"}
        return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}

    mappers = [{"filter": status(code, "EQ"), "body_format_override": body(name)} for code, name in NAMES.items()]
    return {"mappers": [*mappers, {"filter": status(400, "GE"), "body_format_override": body("EdgeError")}]}


def access_log() -> dict[str, Any]:
    fields = {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "client": f"%REQ({CLIENT_HEADER.upper()})%",
        "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "protocol": "%PROTOCOL%",
        "code": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "milliseconds": "%DURATION%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "server": "%UPSTREAM_HOST%",
        "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
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


def socket_address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
