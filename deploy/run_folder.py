"""The run folder of a server: where it is found, and what it left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from deploy.configuration import EDGE
from deploy.errors import DeployError
from deploy.processes import alive
from deploy.supervision import record

if TYPE_CHECKING:
    from client import Server

STATE = "server.json"
KEYS = "key_file.json"
ADMITTED = "admitted"  # a store of archives that were found signed: deploy/admission.py
EDGE_KEYS = "edge_keys.json"  # callers' keys, for our own client


def state_of(run: Path) -> dict[str, Any] | None:
    try:
        return json.loads((run / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write_state(run: Path, state: Mapping[str, Any]) -> None:
    """At once or not at all: clients read it at any time."""
    partial = run / f".{STATE}.partial"
    partial.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    partial.replace(run / STATE)


def server_of(run: Path) -> Server:
    """The server of a run folder, past its edge if it has one; DeployError where there is none."""
    state = state_of(run)
    if state is None:
        raise DeployError("no server is running; ./scripts/serve starts one")
    return server_in(state.get("torchserve") or state)


def public_server(run: Path) -> Server:
    """The server of a run folder as callers reach it: through its edge if it has one."""
    state = state_of(run)
    if state is None:
        raise DeployError("no server is running; ./scripts/serve starts one")
    return server_in(state)


def server_in(state: Mapping[str, Any]) -> Server:
    from client import Server  # here, because the server starts sooner without it

    paths = {name: Path(state[name]) if state.get(name) else None for name in ("key_file", "ca_file")}
    return Server(
        state["inference"],
        state["management"],
        state["grpc"],
        state["grpc_management"],
        paths["key_file"],
        paths["ca_file"],
    )


def running(run: Path) -> psutil.Process | None:
    """The live TorchServe of a run folder."""
    return alive(state_of(run))


def supervisor_of(run: Path) -> psutil.Process | None:
    """The live process that keeps the server of a run folder running."""
    found = record.Record.read(run)
    return alive({"pid": found.pid, "created": found.created}) if found.pid else None


def clean(run: Path) -> None:
    """Remove what a server leaves: keys, unpacked archives, sockets, state; the logs stay."""
    remove_temporary(run)
    for folder in ("samples", EDGE):
        shutil.rmtree(run / folder, ignore_errors=True)
    for name in (STATE, KEYS, record.NAME, "config.properties", EDGE_KEYS, "envoy.sock"):
        (run / name).unlink(missing_ok=True)


def remove_temporary(run: Path) -> None:
    """Remove unpacked archives and sockets."""
    state = state_of(run)
    if state:
        shutil.rmtree(str(state["temporary"]), ignore_errors=True)
    shutil.rmtree(run / "tmp", ignore_errors=True)
