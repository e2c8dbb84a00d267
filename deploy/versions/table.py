"""A table of model versions on one or several servers: workers, queue, share of the calls."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from client import NotFound
from client.management import Management
from client.model_status import ModelStatus
from deploy.edge import traffic
from deploy.edge.traffic import Traffic
from deploy.versions.target import Target


@dataclass(frozen=True)
class Row:
    """share: percentage of the calls without a version; without a split the default version has 100.

    ready: workers that have loaded the model. workers: number of workers asked for. state: "closed" or "held" if the
    edge keeps its calls back.
    """

    server: str
    model: str
    version: str
    default: bool
    share: float
    ready: int
    workers: int
    pending: int
    capacity: int
    state: str
    archive: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def rows(targets: list[Target], model: str | None) -> list[Row]:
    """Rows of one model, or of all if None. Raises DeployError and ClientError."""
    found: list[Row] = []
    for target in targets:
        now = traffic.read(target.traffic) if target.settings else Traffic()
        with target.management() as management:
            names = [model] if model else [each.name for each in management.list_models()]
            for name in names:
                found += of_model(target, management, name, now)
    return found


def of_model(target: Target, management: Management, model: str, now: Traffic) -> list[Row]:
    try:
        versions = management.versions(model)
        default = management.describe(model).version
    except NotFound:
        return []
    return [row(target, each, each.version == default, now) for each in versions]


def row(target: Target, status: ModelStatus, default: bool, now: Traffic) -> Row:
    split, closed = now.models.get(status.name), now.closed.get(status.name)
    hold = now.held.get(status.name)
    state = ""
    if closed is not None and (not closed or status.version in closed):
        state = "closed"
    elif hold and hold.until > time.time():
        state = "held"
    return Row(
        target.name,
        status.name,
        status.version,
        default,
        split.versions.get(status.version, 0.0) if split else 100.0 * default,
        sum(worker.status == "READY" for worker in status.workers),
        status.min_workers,
        status.pending,
        status.pending + status.remaining,
        state,
        status.archive,
    )


def show(found: list[Row], console: Console) -> None:
    several = len({each.server for each in found}) > 1
    table = Table(
        *(["server"] if several else []), "model", "version", "share", "workers", "queue", "archive", box=None
    )
    table.pad_edge = False
    for each in found:
        version = f"{each.version}{' (default)' if each.default else ''}{f' ({each.state})' if each.state else ''}"
        cells = [each.model, version, f"{each.share:g} %", f"{each.ready}/{each.workers}"]
        cells += [f"{each.pending}/{each.capacity}", each.archive]
        table.add_row(*([each.server] if several else []), *cells)
    console.print(table if found else "no models")
