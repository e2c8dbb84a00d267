"""Which path goes where, who may take it, and what is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.edge.clients import Client
from deploy.edge.filters import TYPE
from deploy.edge.limits import ADMIN, RETRIES, TOTAL, TRY
from deploy.edge.network import Upstream


def routes(clients: Mapping[str, Client], upstream: Upstream, grafana: bool) -> list[dict[str, Any]]:
    admins = [name for name, client in clients.items() if client.admin]
    # A prediction changes nothing, so one that a dying or overloaded server did not answer goes to another.
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes,unavailable",
        "retriable_status_codes": [503],
        "num_retries": RETRIES,
        "per_try_timeout": TRY,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
        # Of two servers a dead one has fewer requests in hand, so LEAST_REQUEST draws it three times in four: of six
        # draws one in six has no other, and the retry goes to the server that has just failed.
        "host_selection_retry_max_attempts": 50,
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
            made["route"]["timeout"] = ADMIN
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
    # Pieces go through as they come: errors.lua, which has to read an answer to its end, is left out.
    streams = route({"path": f"{package}.inference.InferenceAPIsService/StreamPredictions"}, "grpc")
    streams["typed_per_filter_config"] = without("lua")
    return [
        *([grafana_route()] if grafana else []),
        streams,
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
    return {
        "match": {"prefix": "/grafana"},
        "route": {"cluster": "grafana", "timeout": "60s", "upgrade_configs": [{"upgrade_type": "websocket"}]},
        "typed_per_filter_config": without("api_key_auth", "local_ratelimit", "lua"),
    }


def without(*filters: str) -> dict[str, Any]:
    """A route's configuration that leaves filters out."""
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True, "config": {}}
    return {f"envoy.filters.http.{name}": off for name in filters}
