"""The servers that a command acts on: this checkout's, or those of a fleet file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from client import Server
from deploy.configuration import PROJECT, run_folder
from deploy.edge import settings_file
from deploy.errors import DeployError
from deploy.ports import HOST
from deploy.run_folder import public_server, running, state_of
from deploy.versions.target import Target

SETTINGS = PROJECT / "secrets"
ADDRESSES = ("management", "grpc_management", "inference", "grpc")


class Member(BaseModel):
    """One server of a fleet file. Paths are relative to the file's folder.

    server: path of a server.json (see TORCHSERVE_SERVER_FILE); alternatively give the addresses themselves. If only
    `management` is given, all REST calls go there. settings: the folder of its edge's settings. A rollout needs these:
    stats, the URL of the edge's statistics; metrics, the URL of TorchServe's metrics; log, the edge's access log.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    server: Path | None = None
    management: Annotated[str | None, Field(pattern=r"^https?://")] = None
    grpc_management: str | None = None
    inference: Annotated[str | None, Field(pattern=r"^https?://")] = None
    grpc: str | None = None
    key_file: Path | None = None
    ca_file: Path | None = None
    settings: Path | None = None
    stats: Annotated[str | None, Field(pattern=r"^https?://")] = None
    metrics: Annotated[str | None, Field(pattern=r"^https?://")] = None
    log: Path | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> Member:
        if (self.server is None) == (self.management is None):
            raise ValueError("wanted either server or management")
        if self.server and any((*(getattr(self, name) for name in ADDRESSES), self.key_file, self.ca_file)):
            raise ValueError("server names a file that already has the addresses and keys")
        return self

    def target(self, folder: Path, grpc: bool) -> Target:
        def path(value: Path | None) -> Path | None:
            return folder / value if value else None

        stats = self.stats
        if self.server:
            where = Server.read(folder / self.server)
            stats = stats or stats_of(json.loads((folder / self.server).read_text(encoding="utf-8")))
        else:
            base = str(self.management)
            bare = base.partition("://")[2]
            where = Server(
                self.inference or base,
                base,
                self.grpc or bare,
                self.grpc_management or bare,
                path(self.key_file),
                path(self.ca_file),
            )
        return Target(self.name, where, path(self.settings), stats, self.metrics, path(self.log), grpc=grpc)


class Fleet(BaseModel):
    """The content of a fleet file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    servers: Annotated[tuple[Member, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def names_differ(self) -> Fleet:
        if len({each.name for each in self.servers}) < len(self.servers):
            raise ValueError("server names must be unique")
        return self


def targets(fleet: Path | None, settings: Path | None, grpc: bool) -> list[Target]:
    """The servers of a fleet file, or this checkout's server without one.

    Raises DeployError and ClientError. settings: the folder of this checkout's edge settings; None for the default.
    """
    if fleet is None:
        return [own(settings or SETTINGS, grpc)]
    if settings is not None:
        raise DeployError("--settings cannot be used with --fleet: the fleet file names the settings of each server")
    if not fleet.is_file():
        raise DeployError(f"{fleet} does not exist")
    found = settings_file.read(fleet, Fleet)
    return [member.target(fleet.parent, grpc) for member in found.servers]


def own(settings: Path, grpc: bool) -> Target:
    """The server that `./bundle serve` started, or that TORCHSERVE_SERVER_FILE names, with these edge settings."""
    run = run_folder()
    state = state_of(run) if running(run) else None
    if state is None:
        return Target("server", Server.find(), settings if settings.is_dir() else None, grpc=grpc)
    # A server that checks signatures keeps copies of its own; archives go into the folder that it reads.
    store = (state.get("admission") or {}).get("source") or state["store"]
    server = public_server(run)
    metrics, log = f"{state['metrics']}/metrics", run / "logs" / "edge.log"
    if "torchserve" in state:
        metrics = f"{state['torchserve']['metrics']}/metrics"
    return Target(
        "server",
        server,
        settings if "edge" in state else None,
        stats_of(state),
        metrics,
        log,
        run,
        Path(store),
        grpc,
    )


def stats_of(state: Mapping[str, Any]) -> str | None:
    """The URL of the statistics of this machine's edge; None without an edge."""
    return f"http://{HOST}:{state['ports']['edge_stats']}/stats/prometheus" if "edge" in state else None
