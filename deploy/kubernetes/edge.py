"""The edge in a pod: its settings come from a Secret, and Envoy runs in the next container as the same user."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import AF_UNIX, socket

from deploy.edge import certificate, clients
from deploy.edge.configuration import BOOTSTRAP, configuration
from deploy.edge.files import EVERYWHERE
from deploy.edge.network import Listeners, Upstream
from deploy.edge.private_file import replace_private
from deploy.edge.watched import Watched
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.tracing.settings import Tracing

ADMIN = "envoy.sock"
DRAIN = "drain"  # a file that Envoy's preStop hook creates


def write(settings: Path, edge: Path, server: str) -> Watched:
    """Write Envoy's configuration, and return the watcher to refresh while Envoy runs.

    settings: a Secret's folder with clients.yaml, tls.crt and tls.key. edge: a folder that only this pod uses. server:
    a host name with one address per server. Environment variables configure tracing. Raises DeployError.
    """
    missing = [
        name for name in (clients.NAME, certificate.CERTIFICATE, certificate.KEY) if not (settings / name).is_file()
    ]
    if missing:
        raise DeployError(f"{settings} has no {', '.join(missing)}; wanted the keys of the edge's Secret")
    ports = Ports()
    upstream = Upstream.of(server, ports)
    listeners = Listeners(EVERYWHERE, ports.edge, EVERYWHERE, ports.edge_stats, edge / ADMIN)
    tracing = Tracing.of(os.environ)
    watched = Watched(settings, edge, None, lambda: upstream, tracing=tracing)
    watched.write()
    # Written last, because its presence shows that all files are there.
    replace_private(edge / BOOTSTRAP, json.dumps(configuration(upstream, listeners, edge, tracing=tracing)))
    return watched


class Draining:
    """Makes Envoy ask its callers to connect elsewhere once its preStop hook has run. edge: as in `write`."""

    def __init__(self, edge: Path) -> None:
        self.edge = edge
        self.done = False

    def look(self) -> str:
        """Check once and return a line to report, or "". While draining, every answer closes its connection."""
        if self.done or not (self.edge / DRAIN).exists():
            return ""
        connection = UnixConnection(self.edge / ADMIN)
        try:
            connection.request("POST", "/healthcheck/fail")
            self.done = connection.getresponse().status == 200
        except (OSError, HTTPException) as error:
            return f"Envoy does not drain: {error}"
        finally:
            connection.close()
        return "draining"


class UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))
