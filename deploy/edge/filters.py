"""Envoy's HTTP filters: readiness, keys, rates, sizes, gRPC statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.configuration import PROJECT
from deploy.edge import registration
from deploy.edge.clients import Clients
from deploy.edge.clusters import sized
from deploy.edge.discovery import TYPES, Resource, watched_file
from deploy.edge.limits import MAX_REQUEST, RETRY_AFTER, SIZES, TOTAL
from deploy.edge.management import DIGITS
from deploy.edge.network import Upstream
from deploy.edge.traffic import FALL, Traffic
from deploy.surface.openai.paths import CALLS
from deploy.tracing.envoy import filter_of_spans, threshold
from deploy.tracing.settings import Tracing

TYPE = f"{TYPES}/envoy.extensions.filters"
SCRIPTS = PROJECT / "docker" / "edge"
CLIENT_HEADER = "x-client"
FORM = "the form cannot be read; wanted parts with a name, and no transfer encoding or charset that Java does not know"
WEB_FORM = (
    "the body came as a web form, curl's default, and cannot be read as one; name its type, as in "
    "-H 'Content-Type: image/jpeg'"
)
# That the Java of TorchServe knows, in small letters; a form with another is refused.
CHARSETS = {
    *("utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "utf-32", "us-ascii", "ascii", "latin1", "iso8859-1"),
    *(f"iso-8859-{part}" for part in (1, 2, 4, 5, 7, 9, 13, 15)),
    *(f"{name}{page}" for name in ("windows-", "cp") for page in (1250, 1251, 1252, 1253, 1254, 1257)),
    *("koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5", "euc-jp", "euc-kr", "shift_jis", "sjis", "windows-31j"),
    "tis-620",
}
TENSORS = "inference-header-content-length"
EVERY = {"numerator": 100, "denominator": "HUNDRED"}
Value = str | float | Mapping[str, "Value"] | Sequence["Value"]


def filters(folder: Path, upstream: Upstream, tracing: Tracing | None = None) -> list[dict[str, Any]]:
    """In the order a request meets them: readiness and a browser's question need no key; a rate is a client's.

    folder: of the files with the filters that change. upstream: whose status is asked about registrations.
    """
    return [
        named(
            "health_check",
            "http.health_check.v3.HealthCheck",
            pass_through_mode=False,
            headers=[{"name": ":path", "string_match": {"exact": "/readyz"}}],
            cluster_min_healthy_percentages={sized(name, SIZES[0]): {"value": 1} for name in ("rest", "grpc")},
        ),
        named("cors", "http.cors.v3.Cors"),
        discovered("api_key_auth", "http.api_key_auth.v3.ApiKeyAuth", folder),
        discovered("local_ratelimit", "http.local_ratelimit.v3.LocalRateLimit", folder),
        named("buffer", "http.buffer.v3.Buffer", max_request_bytes=MAX_REQUEST),
        *([filter_of_spans()] if tracing else []),
        lua("forms", CHARSETS=dict.fromkeys(CHARSETS, 1)),
        discovered("requests", "http.lua.v3.Lua", folder),
        registration.filter_of(upstream.host, upstream.status),
        # By as much as a header of requests.lua says.
        named("fault", "http.fault.v3.HTTPFault", delay={"header_delay": {}, "percentage": EVERY}),
        lua("responses", RETRY_AFTER=RETRY_AFTER, FORM=FORM, WEB_FORM=WEB_FORM),
        # Without x-envoy-original-path, in which TorchServe would find the "/token" that the route has hidden from it.
        named("router", "http.router.v3.Router", suppress_envoy_headers=True),
    ]


def changeable(clients: Clients, traffic: Traffic, tracing: Tracing | None = None) -> list[Resource]:
    """The filters that are found in files: keys, rates, and which version answers."""
    shares = {
        model: {"sticky": split.sticky or "", "bounds": split.upper_bounds(), "text": split.text()}
        for model, split in traffic.models.items()
    }
    made = (
        keys(clients),
        rates(clients),
        lua(
            "requests",
            SMALL=SIZES[0].digits,
            DIGITS=DIGITS,
            SHARES=shares,
            CLOSED={model: dict.fromkeys(versions, 1) for model, versions in traffic.closed.items()},
            HELD={model: [1000 * hold.seconds, 1000 * hold.until] for model, hold in traffic.held.items()},
            FALL=FALL,
            COPIED={model: [each.share, 1000 * each.until] for model, each in traffic.copied.items()},
            TRAFFIC=traffic.digest(),
            CALLS=CALLS,
            TOTAL=int(TOTAL.removesuffix("s")),
            TRACED=tracing is not None,
            PARENT_BASED=tracing is not None and tracing.parent_based,
            THRESHOLD=threshold(tracing) if tracing else 0,
        ),
    )
    kind = f"{TYPES}/envoy.config.core.v3.TypedExtensionConfig"
    return [Resource(file_of(each["name"].rpartition(".")[2]), {"@type": kind, **each}) for each in made]


def file_of(name: str) -> str:
    return f"{name}.json"


def keys(clients: Clients) -> dict[str, Any]:
    return named(
        "api_key_auth",
        "http.api_key_auth.v3.ApiKeyAuth",
        credentials=[{"key": client.key, "client": name} for name, client in clients.clients.items()],
        key_sources=[{"header": "authorization"}],
        forwarding={"header": CLIENT_HEADER},
    )


def rates(clients: Clients) -> dict[str, Any]:
    buckets = [
        {
            "entries": [{"key": "client", "value": name}],
            "token_bucket": {
                "max_tokens": client.burst,
                "tokens_per_fill": client.requests_per_second,
                "fill_interval": "1s",
            },
        }
        for name, client in clients.clients.items()
    ]
    everywhere = {"default_value": EVERY}
    return named(
        "local_ratelimit",
        "http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="rate",
        token_bucket={"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"},
        filter_enabled={"runtime_key": "rate_enabled", **everywhere},
        filter_enforced={"runtime_key": "rate_enforced", **everywhere},
        rate_limited_as_resource_exhausted=True,
        rate_limits=[{"actions": [{"request_headers": {"header_name": CLIENT_HEADER, "descriptor_key": "client"}}]}],
        descriptors=buckets,
    )


def cors(origins: Sequence[str]) -> dict[str, Any]:
    """A route's configuration that lets pages of these origins ask, and read errors and how long to wait."""
    policy = {
        "@type": f"{TYPE}.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": origin} for origin in origins],
        "allow_methods": "POST, GET",
        "allow_headers": "authorization, content-type, content-encoding, accept, x-request-id, x-request-timeout, "
        f"traceparent, tracestate, {TENSORS}",
        "expose_headers": f"x-request-id, traceresponse, retry-after, model-version, server-timing, {TENSORS}",
        "max_age": "600",
    }
    return {"envoy.filters.http.cors": policy}


def lua(name: str, **values: Value) -> dict[str, Any]:
    """A script of docker/edge, after a line that gives it each of the values as a local variable."""
    lines = [f"local {key} = {literal(value)}" for key, value in values.items()]
    source = (SCRIPTS / f"{name}.lua").read_text(encoding="utf-8")
    return named(name, "http.lua.v3.Lua", default_source_code={"inline_string": "\n".join([*lines, source])})


def literal(value: Value) -> str:
    """A value as Lua writes it. Texts hold no quotation marks: they are names."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'["{key}"] = {literal(each)}' for key, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return "{" + ", ".join(literal(each) for each in value) + "}"
    return str(value)


def discovered(name: str, kind: str, folder: Path) -> dict[str, Any]:
    """A filter whose configuration stands in a file."""
    return {
        "name": f"envoy.filters.http.{name}",
        "config_discovery": {"config_source": watched_file(folder, file_of(name)), "type_urls": [f"{TYPE}.{kind}"]},
    }


def named(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{TYPE}.{kind}", **fields}}


def admins_alone(admins: list[str]) -> dict[str, Any]:
    return {
        "envoy.filters.http.api_key_auth": {
            "@type": f"{TYPE}.http.api_key_auth.v3.ApiKeyAuthPerRoute",
            "allowed_clients": admins or ["-"],
        }
    }


def at_most(size: int) -> dict[str, Any]:
    """A route's configuration that takes no larger body. size: in bytes."""
    limit = {"@type": f"{TYPE}.http.buffer.v3.BufferPerRoute", "buffer": {"max_request_bytes": size}}
    return {"envoy.filters.http.buffer": limit}


def without(*filters: str) -> dict[str, Any]:
    """A route's configuration that leaves filters out."""
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True, "config": {}}
    return {f"envoy.filters.http.{name}": off for name in filters}
