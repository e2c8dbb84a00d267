"""The state of a running server at one moment, from its management API and its metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from client.exchange import session
from client.model_status import ModelStatus
from deploy.errors import DeployError
from deploy.overview.counters import Counters, by_model, of_edge
from deploy.ports import HOST
from deploy.processes import alive
from deploy.report import memory_of
from deploy.run_folder import running, server_of, state_of, supervisor_of
from deploy.status import Status
from deploy.supervision.record import Record, Restart
from deploy.supervision.recovery import is_gone

PATIENCE = 5.0


@dataclass(frozen=True)
class ModelLook:
    """One version of a model. up, asked: its workers. memory: bytes they hold."""

    name: str
    version: str
    default: bool
    up: int
    asked: int
    pending: int
    capacity: int
    memory: int
    counters: Counters


@dataclass(frozen=True)
class EdgeLook:
    """counters: None if it does not answer."""

    address: str
    pid: int
    counters: Counters | None


@dataclass(frozen=True)
class Look:
    """at: seconds of a clock that never goes back. uptime: seconds. memory: bytes of TorchServe's own process.

    supervisor: pid of what keeps it running; None where nothing does. restarted: how often it was started again;
    restarts: the last of these times.
    """

    at: float
    address: str
    grpc: str
    pid: int
    uptime: float
    memory: int
    models: tuple[ModelLook, ...]
    edge: EdgeLook | None
    supervisor: int | None = None
    restarted: int = 0
    restarts: tuple[Restart, ...] = ()


def look(run: Path) -> Look | None:
    """The server of a run folder; None if none runs. Raises DeployError if it does not answer."""
    process, state, supervisor, record = running(run), state_of(run), supervisor_of(run), Record.read(run)
    if supervisor and (process is None or state is None):
        raise DeployError(f"the server has ended and is being started again: {record.restarts[-1].reason}")
    if process is None or state is None:
        return None
    text = fetched(f"{state['metrics']}/metrics")
    if text is None:
        raise DeployError(f"the server (pid {process.pid}) does not answer; see {run / 'logs'}")
    counted = by_model(text)
    status = Status(server_of(run), Path(state["store"]), names=())
    status.look()
    return Look(
        at=time.monotonic(),
        address=str(state["inference"]),
        grpc=str(state["grpc"]),
        pid=process.pid,
        uptime=time.time() - process.create_time(),
        memory=memory_of([process.pid]),
        models=tuple(model_look(model, status.defaults, counted) for model in status.models),
        edge=edge_look(state),
        supervisor=supervisor.pid if supervisor else None,
        restarted=record.restarted,
        restarts=tuple(record.restarts),
    )


def model_look(
    model: ModelStatus, defaults: Mapping[str, str], counted: Mapping[tuple[str, str], Counters]
) -> ModelLook:
    return ModelLook(
        model.name,
        model.version,
        defaults.get(model.name) == model.version,
        sum(worker.status == "READY" and not is_gone(worker) for worker in model.workers),
        model.min_workers,
        model.pending,
        model.pending + model.remaining,
        memory_of([worker.pid for worker in model.workers if worker.pid > 0]),
        counted.get((model.name, model.version), Counters()),
    )


def edge_look(state: Mapping[str, Any]) -> EdgeLook | None:
    process: psutil.Process | None = alive(state.get("edge"))
    if process is None:
        return None
    text = fetched(f"http://{HOST}:{state['ports']['edge_stats']}/stats/prometheus")
    return EdgeLook(str(state["inference"]), process.pid, of_edge(text) if text is not None else None)


def fetched(url: str) -> str | None:
    """The text at an address; None without an answer."""
    try:
        with session() as own:
            response = own.get(url, timeout=PATIENCE)
            response.raise_for_status()
    except requests.RequestException:
        return None
    return response.text
