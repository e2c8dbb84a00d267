"""Tracing settings from OpenTelemetry's standard environment variables, read and checked once.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/, and .../otel/protocol/exporter/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from deploy.errors import DeployError

ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
SERVICE, SAMPLER, SAMPLER_ARGUMENT = "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
DEFAULT_SERVICE = "torchserve-bundle"
PATH = "/v1/traces"
PROTOCOL = "http/protobuf"
# Name → (whether the caller's decision counts, share of the other requests unless an argument gives it).
SAMPLERS: Mapping[str, tuple[bool, float]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, 1.0),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, 1.0),
}
DEFAULT_SAMPLER = "parentbased_always_on"
# The edge does not support these, so a request's spans would end up in two places.
REFUSED = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")


@dataclass(frozen=True)
class Tracing:
    """endpoint: URL of the collector.

    headers: sent with the spans; secret. service: the workers' name in a trace. parent_based: whether a caller's
    traceparent decides if its request is traced. ratio: traced share of the other requests, from 0 to 1. certificate: a
    file of trusted certificates; "" for the system's.
    """

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    service: str = DEFAULT_SERVICE
    attributes: Mapping[str, str] = field(default_factory=dict)
    parent_based: bool = True
    ratio: float = 1.0
    certificate: str = ""

    @property
    def url(self) -> SplitResult:
        return urlsplit(self.endpoint)

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Tracing | None:
        """Read the variables; None if tracing is off. Raises DeployError, without secrets, for a wrong value."""
        variables = {name: value.strip() for name, value in environment.items() if value.strip()}
        endpoint = variables.get(TRACES_ENDPOINT) or joined(variables.get(ENDPOINT, ""))
        exporter = variables.get("OTEL_TRACES_EXPORTER", "otlp")
        if not endpoint or exporter == "none" or variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return None
        if exporter != "otlp":
            raise DeployError(f"OTEL_TRACES_EXPORTER: got {exporter[:40]!r}, wanted otlp or none")
        protocol = of_traces(variables, "PROTOCOL") or PROTOCOL
        if protocol != PROTOCOL:
            raise DeployError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL: got {protocol[:40]!r}, wanted {PROTOCOL}, on a collector's port 4318"
            )
        for name in REFUSED:
            if name in variables or name.replace("OTLP_", "OTLP_TRACES_") in variables:
                raise DeployError(
                    f"{name}: the edge cannot present a client certificate; use a collector that does not require one"
                )
        checked(endpoint)
        parent_based, ratio = sampling(variables)
        return cls(
            endpoint,
            pairs("OTEL_EXPORTER_OTLP_HEADERS", of_traces(variables, "HEADERS")),
            variables.get(SERVICE, DEFAULT_SERVICE),
            pairs("OTEL_RESOURCE_ATTRIBUTES", variables.get("OTEL_RESOURCE_ATTRIBUTES", "")),
            parent_based,
            ratio,
            of_traces(variables, "CERTIFICATE"),
        )


def of_traces(variables: Mapping[str, str], name: str) -> str:
    """A variable of the exporter; the one for traces overrides the one for all signals."""
    prefix = "OTEL_EXPORTER_OTLP_"
    return variables.get(f"{prefix}TRACES_{name}") or variables.get(f"{prefix}{name}", "")


def joined(base: str) -> str:
    return base and base.rstrip("/") + PATH


def checked(endpoint: str) -> None:
    problem = "wanted http://HOST:PORT or https://HOST:PORT"
    try:
        url = urlsplit(endpoint)
        if url.scheme in ("http", "https") and url.hostname and url.port != 0:
            problem = (
                "a password in the URL would be logged; set it in OTEL_EXPORTER_OTLP_HEADERS" if url.username else ""
            )
    except ValueError:  # raised for an invalid port
        problem = f"{problem}, with a port from 1 to 65535"
    if problem:
        raise DeployError(f"{ENDPOINT}: {problem}")


def sampling(variables: Mapping[str, str]) -> tuple[bool, float]:
    """Return (parent_based, ratio) of `Tracing`."""
    name = variables.get(SAMPLER, DEFAULT_SAMPLER)
    if name not in SAMPLERS:
        raise DeployError(f"{SAMPLER}: got {name[:40]!r}, wanted one of {', '.join(SAMPLERS)}")
    parent_based, ratio = SAMPLERS[name]
    argument = variables.get(SAMPLER_ARGUMENT, "")
    if argument and name.endswith("traceidratio"):
        try:
            ratio = float(argument)
        except ValueError:
            ratio = -1.0
        if not 0 <= ratio <= 1:
            raise DeployError(f"{SAMPLER_ARGUMENT}: got {argument[:40]!r}, wanted a number from 0 to 1")
    return parent_based, ratio


def pairs(name: str, text: str) -> dict[str, str]:
    """Parse comma-separated NAME=VALUE entries with percent-encoded values."""
    found = {}
    for number, each in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        key, equals, value = (part.strip() for part in each.partition("="))
        if not key or not equals or not f"{key}{value}".isascii() or not unquote(value).isprintable():
            raise DeployError(f"{name}: entry {number} is not NAME=VALUE in ASCII (W3C Baggage)")
        found[key.lower() if name.endswith("HEADERS") else key] = unquote(value)
    return found


def worker_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for the workers' tracing, in addition to the user's; the endpoint is "" if tracing is off.

    Workers follow the edge's decision, because the edge and the SDK would not sample the same requests.
    """
    tracing = Tracing.of(environment)
    if tracing is None:
        return {TRACES_ENDPOINT: ""}
    sampler = {SAMPLER: "parentbased_traceidratio", SAMPLER_ARGUMENT: str(tracing.ratio)}
    return {TRACES_ENDPOINT: tracing.endpoint, SERVICE: tracing.service, **sampler}
