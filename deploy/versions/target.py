"""A server that a command acts on, and the edge in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client import GrpcManagement, RestManagement, Server
from deploy.edge import traffic
from deploy.errors import DeployError


@dataclass(frozen=True)
class Target:
    """settings: the folder of the edge's settings; None without an edge, or if unknown.

    stats, metrics: URLs of Envoy's and TorchServe's statistics, if they can be read. log: the edge's access log. run,
    store: run folder and model store of a server on this machine. grpc: use gRPC for management.
    """

    name: str
    server: Server
    settings: Path | None = None
    stats: str | None = None
    metrics: str | None = None
    log: Path | None = None
    run: Path | None = None
    store: Path | None = None
    grpc: bool = False

    def management(self) -> RestManagement | GrpcManagement:
        """Open a connection; the caller closes it."""
        return GrpcManagement(self.server) if self.grpc else RestManagement(self.server)

    @property
    def traffic(self) -> Path:
        """The traffic file of its edge. Raises DeployError without an edge."""
        if self.settings is None:
            raise DeployError(f"{self.name} has no known edge; start one with ./bundle serve --edge")
        return self.settings / traffic.NAME


def edges(targets: list[Target]) -> list[Target]:
    """One target per edge: several servers can be behind the same edge."""
    return list({target.settings: target for target in targets if target.settings}.values())
