"""One of the servers that a command operates: where it is, and the edge before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client import GrpcManagement, RestManagement, Server
from deploy.edge import traffic
from deploy.errors import DeployError


@dataclass(frozen=True)
class Target:
    """settings: the folder of the edge's settings; None without an edge, or where it is not known.

    stats: Envoy's page of statistics, metrics: TorchServe's, log: of the edge's calls, where they can be read. run: the
    run folder and store: the model store of a server on this machine. grpc: whether management goes over gRPC.
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
        """A connection; to be closed."""
        return GrpcManagement(self.server) if self.grpc else RestManagement(self.server)

    @property
    def traffic(self) -> Path:
        """The file of its edge. DeployError where it has none."""
        if self.settings is None:
            raise DeployError(f"{self.name} has no edge that is known; ./bundle serve --edge puts one before a server")
        return self.settings / traffic.NAME


def edges(targets: list[Target]) -> list[Target]:
    """One target for each edge before them: several servers can be behind the same one."""
    return list({target.settings: target for target in targets if target.settings}.values())
