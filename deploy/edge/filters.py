"""Envoy's HTTP filters: readiness, keys, rates, sizes, gRPC statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.configuration import PROJECT
from deploy.edge.clients import Client
from deploy.edge.limits import MAX_REQUEST

TYPE = "type.googleapis.com/envoy.extensions.filters"
LUA = PROJECT / "docker" / "edge" / "errors.lua"
CLIENT_HEADER = "x-client"


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
