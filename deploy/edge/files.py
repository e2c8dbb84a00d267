"""The files of a stack of containers: keys, certificate and Grafana's password, made once; the edge's, every time."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path

from deploy.edge import certificate
from deploy.edge import clients as callers
from deploy.edge.configuration import BOOTSTRAP, configuration
from deploy.edge.network import Listeners, Upstream
from deploy.edge.private_file import replace_private, write_private
from deploy.edge.watched import Watched
from deploy.ports import Ports
from deploy.tracing.settings import Tracing

EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container whose networks decide who reaches it
ENVOY_USER, GRAFANA_USER = 101, 472  # as their images have them


def write(kept: Path, edge: Path, grafana: Path, names: list[str], published: int) -> Watched:
    """Run as root: each file is given to the one user that reads it.

    kept: the user's folder; what is there stays, what is missing is made and belongs to the folder's owner. edge,
    grafana: volumes of those containers, written over. names: of the certificate. published: the edge's port on the
    host, for the server.json with which our client finds the stack.

    Returns what is to be refreshed while the edge runs.
    """
    callers.ensure(kept / callers.NAME)
    certificate.ensure(kept, names)
    password = kept / "grafana-password"
    if not password.exists():
        write_private(password, secrets.token_urlsafe(24))
    ports = Ports()
    address = f"{names[0]}:{published}"
    described = {
        **dict.fromkeys(("inference", "management"), f"https://{address}"),
        **dict.fromkeys(("grpc", "grpc_management"), address),
        "key_file": "keys.json",
        "ca_file": certificate.CERTIFICATE,
    }
    (kept / "server.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    upstream = Upstream.of("server", ports)
    listeners = Listeners(EVERYWHERE, ports.edge, EVERYWHERE, ports.edge_stats, Path("/tmp/envoy.sock"))  # noqa: S108
    os.chown(edge, ENVOY_USER, ENVOY_USER)
    edge.chmod(0o500)
    (edge / BOOTSTRAP).unlink(missing_ok=True)
    tracing = Tracing.of(os.environ)
    watched = Watched(kept, edge, kept / "keys.json", lambda: upstream, grafana=True, tracing=tracing)
    watched.write()
    owner = kept.stat()
    for path in kept.iterdir():
        os.chown(path, owner.st_uid, owner.st_gid)
    shutil.copyfile(password, grafana / "password")
    for path in (grafana, grafana / "password"):
        path.chmod(0o500 if path.is_dir() else 0o400)
        os.chown(path, GRAFANA_USER, GRAFANA_USER)
    # Last: it says that everything is there.
    replace_private(edge / BOOTSTRAP, json.dumps(configuration(upstream, listeners, edge, "grafana", tracing)), edge)
    return watched
