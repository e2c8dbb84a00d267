"""The servers that a command operates: that of this checkout, or those of a fleet file."""

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

    server: a server.json, as TORCHSERVE_SERVER_FILE names one, or the addresses themselves; with `management` alone
    all REST calls go there. settings: the folder of its edge's settings. stats: the edge's page of statistics,
    metrics: TorchServe's page, log: the file of the edge's calls; what a rollout judges by.
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
            raise ValueError("wanted one of server and management")
        if self.server and any((*(getattr(self, name) for name in ADDRESSES), self.key_file, self.ca_file)):
            raise ValueError("addresses and keys stand in the file that server names")
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
            raise ValueError("two servers have the same name")
        return self


def targets(fleet: Path | None, settings: Path | None, grpc: bool) -> list[Target]:
    """Those of a fleet file, or the server of this checkout where there is none. Raises DeployError and ClientError.

    settings: the folder of that one's edge; None for the checkout's.
    """
    if fleet is None:
        return [own(settings or SETTINGS, grpc)]
    if settings is not None:
        raise DeployError("a fleet file names the settings of each server itself: leave --settings out")
    if not fleet.is_file():
        raise DeployError(f"{fleet} does not exist")
    found = settings_file.read(fleet, Fleet)
    return [member.target(fleet.parent, grpc) for member in found.servers]


def own(settings: Path, grpc: bool) -> Target:
    """The server that `./bundle serve` started, or that of TORCHSERVE_SERVER_FILE, whose edge has these settings."""
    run = run_folder()
    state = state_of(run) if running(run) else None
    if state is None:
        return Target("server", Server.find(), settings if settings.is_dir() else None, grpc=grpc)
    # Signed archives go where the server looks for them, and not into the store of copies that it keeps.
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
    """The page of the edge that stands before a server of this machine; None where there is none."""
    return f"http://{HOST}:{state['ports']['edge_stats']}/stats/prometheus" if "edge" in state else None
