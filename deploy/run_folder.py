"""The run folder of a server: its state, how it is stopped, and what is removed after it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from deploy.configuration import EDGE
from deploy.errors import DeployError
from deploy.gpu.environment import selecting
from deploy.processes import GRACE, alive, end, signalled, wait_ended
from deploy.supervision import record

if TYPE_CHECKING:
    from client import Server

STATE = "server.json"
KEYS = "key_file.json"
ADMITTED = "admitted"  # store of the admitted archives: deploy/admission.py
BYTECODE = "bytecode"  # handlers/torchserve/bytecode.py
DEATHS = "deaths"  # deaths of workers, and the inputs refused because of them: zygote/death_record.py, quarantine.py
SUPERVISOR_GRACE = 4 * GRACE  # for a supervisor to stop its server properly
EDGE_KEYS = "edge_keys.json"  # callers' keys, for our own client


def state_of(run: Path) -> dict[str, Any] | None:
    try:
        return json.loads((run / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write_state(run: Path, state: Mapping[str, Any]) -> None:
    """Write the state atomically, because clients may read it at any time."""
    partial = run / f".{STATE}.partial"
    partial.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    partial.replace(run / STATE)


def server_of(run: Path) -> Server:
    """The server of a run folder itself, not its edge. Raises DeployError if there is none."""
    state = state_of(run)
    if state is None:
        raise DeployError("no server is running; ./scripts/serve starts one")
    return server_in(state.get("torchserve") or state)


def public_server(run: Path) -> Server:
    """The server of a run folder as callers reach it, through its edge if it has one. Raises DeployError."""
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


def variables_of(run: Path) -> Mapping[str, str]:
    """This process's environment variables, with those that select GPUs as the server of a run folder has them."""
    state = state_of(run) or {}
    if "gpu_variables" not in state:
        return os.environ
    ours = {name: value for name, value in os.environ.items() if name not in selecting(os.environ)}
    return ours | state["gpu_variables"]


def running(run: Path) -> psutil.Process | None:
    """The live TorchServe of a run folder."""
    return alive(state_of(run))


def supervisor_of(run: Path) -> psutil.Process | None:
    """The live process that keeps the server of a run folder running."""
    found = record.Record.read(run)
    return alive({"pid": found.pid, "created": found.created}) if found.pid else None


def check_not_running(run: Path) -> None:
    """Raises DeployError if a run folder already has a server, or a supervisor that is about to restart it."""
    process = running(run)
    if process:
        raise DeployError(f"a server is already running (pid {process.pid}); ./scripts/stop ends it")
    supervisor = supervisor_of(run)
    if supervisor and supervisor.pid != os.getpid():
        raise DeployError(f"a server is being started again (by pid {supervisor.pid}); ./scripts/stop ends it")


def stop(run: Path) -> bool:
    """Stop the server of a run folder with all its workers and remove its files; returns whether one was running."""
    run = run.resolve()
    supervisor = supervisor_of(run)
    was_running = running(run) is not None or supervisor is not None
    if supervisor and supervisor.pid != os.getpid():  # it does the same, and can wait for its own children
        signalled(supervisor, signal.SIGTERM)
        signalled(supervisor, signal.SIGCONT)
        _, left = psutil.wait_procs([supervisor], timeout=SUPERVISOR_GRACE)
        for each in left:
            signalled(each, signal.SIGKILL)
    state = state_of(run)
    edge = alive((state or {}).get("edge"))
    if edge:  # first, so that no more requests come in
        signalled(edge, signal.SIGTERM)
        wait_ended(edge, GRACE)
    end(state)
    clean(run)
    shutil.rmtree(run / ADMITTED, ignore_errors=True)
    return was_running


def clean(run: Path) -> None:
    """Remove the keys, unpacked archives, sockets and state of a server, but not its logs."""
    remove_temporary(run)
    for folder in ("samples", EDGE, BYTECODE, DEATHS):
        shutil.rmtree(run / folder, ignore_errors=True)
    for name in (STATE, KEYS, record.NAME, "config.properties", EDGE_KEYS, "envoy.sock"):
        (run / name).unlink(missing_ok=True)


def remove_temporary(run: Path) -> None:
    """Remove unpacked archives and sockets."""
    state = state_of(run)
    if state:
        shutil.rmtree(str(state["temporary"]), ignore_errors=True)
    shutil.rmtree(run / "tmp", ignore_errors=True)
