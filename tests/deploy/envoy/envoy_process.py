"""Envoy with the edge's own configuration, before servers of a test's own."""

import json
import subprocess
import time
from pathlib import Path

import requests

from deploy.edge import certificate, clients
from deploy.edge.configuration import BOOTSTRAP, configuration
from deploy.edge.network import Listeners, Upstream
from deploy.edge.private_file import write_private
from deploy.edge.process import envoy
from deploy.edge.watched import Watched
from deploy.ports import HOST, Ports
from deploy.tracing.settings import Tracing

PATIENCE = 30.0  # seconds


class EnvoyProcess:
    """folder: of all it writes. rest, rpc: ports of the servers, also for what TorchServe has others for.

    callers: the text of clients.yaml. key: of `session`. settings: the user's folder; log: Envoy's.
    """

    def __init__(
        self, folder: Path, rest: int, rpc: int, callers: str, key: str, tracing: Tracing | None = None
    ) -> None:
        self.settings, self.log, self.ports = folder / "settings", folder / "envoy.log", Ports.free()
        upstream = Upstream(HOST, rest, rpc, rest, rpc, rest, rpc, {})
        write_private(self.settings / clients.NAME, callers)
        certificate.ensure(self.settings, ["localhost", HOST])
        edge = folder / "edge"
        edge.mkdir()
        self.watched = Watched(self.settings, edge, folder / "keys.json", lambda: upstream, tracing=tracing)
        self.watched.write()
        listeners = Listeners(HOST, self.ports.edge, HOST, self.ports.edge_stats, folder / "envoy.sock")
        bootstrap = configuration(upstream, listeners, edge, tracing=tracing)
        write_private(folder / BOOTSTRAP, json.dumps(bootstrap))
        command = [str(envoy()), "-c", str(folder / BOOTSTRAP), "--use-dynamic-base-id", "--log-level", "warning"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--file-flush-interval-msec", "100"], stdout=log, stderr=subprocess.STDOUT
            )
        self.address = f"https://{HOST}:{self.ports.edge}"
        self.session = self.connection(key)
        end = time.monotonic() + PATIENCE
        while not self.answers("/readyz"):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def connection(self, key: str) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.settings / certificate.CERTIFICATE)
        session.headers["authorization"] = f"Bearer {key}"
        return session

    def answers(self, path: str) -> bool:
        try:
            return self.session.get(f"{self.address}{path}", timeout=5).ok
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        self.session.close()
        self.process.terminate()
        self.process.wait()
