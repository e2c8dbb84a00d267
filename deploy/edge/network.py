"""Where the servers are, and where the edge listens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deploy.ports import Ports

# Unix sockets beside Envoy's own, where copies of calls go while a rollout compares versions.
REST_SHADOW, GRPC_SHADOW = "shadow-rest.sock", "shadow-grpc.sock"


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
    open_inference: int
    tokens: Mapping[str, str]

    @classmethod
    def of(cls, host: str, ports: Ports, tokens: Mapping[str, str] | None = None) -> Self:
        """Servers that all listen at these ports."""
        own = (ports.inference, ports.grpc, ports.management, ports.grpc_management, ports.status, ports.open_inference)
        return cls(host, *own, tokens or {})


@dataclass(frozen=True)
class Listeners:
    """host: of the TLS port. admin: path of Envoy's own unix socket. stats_host: who may read Prometheus's page."""

    host: str
    port: int
    stats_host: str
    stats_port: int
    admin: Path


def socket_address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
