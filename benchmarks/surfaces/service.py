"""The service of KServe's v2 protocol, beside a running server."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.ports import HOST, Ports
from deploy.run_folder import server_of
from deploy.status import Status
from deploy.surface.status_server import StatusServer


def serve_status(run: Path, store: Path, ports: Ports) -> None:
    """In a process of its own, so that its processor time is known."""
    status = Status(server_of(run), store, ())
    status.look()
    status.admit()
    server = StatusServer(status, HOST, ports)  # which ends with its last reference
    server.start()
    time.sleep(1e6)
