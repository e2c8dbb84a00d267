"""The parts of the edge's configuration that change while it runs: Envoy watches their files, and no connection ends.

Routes come by Envoy's RDS, filters by ECDS and the certificate by SDS, each from a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.edge import certificate, clients, settings_file, traffic
from deploy.edge.discovery import Resource
from deploy.edge.filters import changeable
from deploy.edge.network import Upstream
from deploy.edge.private_file import replace_private
from deploy.edge.routes import route_configuration
from deploy.errors import DeployError
from deploy.tracing.settings import Tracing

Identity = tuple[int, int, int]


@dataclass
class Watched:
    """settings: the user's folder, with clients.yaml, traffic.yaml, tls.crt and tls.key. folder: the one Envoy reads.

    key_file: where our own client finds the callers' keys, if it is to. upstream: where the servers are, with their
    keys, asked for each time. server_keys: the file with these keys, where it may change: TorchServe writes it as it
    starts. Files belong to the owner of their folder.
    """

    settings: Path
    folder: Path
    key_file: Path | None
    upstream: Callable[[], Upstream]
    grafana: bool = False
    tracing: Tracing | None = None
    server_keys: Path | None = None

    def __post_init__(self) -> None:
        self.seen: dict[Path, Identity | None] = {}

    def write(self) -> list[str]:
        """Render the settings and replace the files that differ; their names. DeployError where a setting is wrong."""
        seen = self.look()
        callers = settings_file.read(self.settings / clients.NAME, clients.Clients)
        split = traffic.read(self.settings / traffic.NAME)
        upstream = self.upstream()
        resources = [
            route_configuration(callers, upstream, self.grafana),
            *changeable(callers, split, self.tracing),
            certificate.secret(self.settings),
        ]
        changed = [resource.file for resource in resources if self.replace(resource)]
        if self.key_file:
            replace_private(self.key_file, json.dumps(clients.key_file(callers)), self.key_file.parent)
        self.seen = seen
        return changed

    def replace(self, resource: Resource) -> bool:
        """Whether the file had another content. Envoy sees a file that takes its place, not one that is written to."""
        path, text = self.folder / resource.file, json.dumps(resource.response())
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return False
        replace_private(path, text, self.folder)
        return True

    def refresh(self) -> str:
        """Write again where a setting has changed since the last time; what there is to report, "" for nothing.

        A setting that is wrong changes nothing, and is reported once.
        """
        if self.look() == self.seen:
            return ""
        try:
            changed = self.write()
        except (DeployError, OSError) as error:
            self.seen = self.look()
            return f"the edge keeps its settings: {error}"
        return f"the edge has new settings: {', '.join(changed)}" if changed else ""

    def look(self) -> dict[Path, Identity | None]:
        names = (clients.NAME, traffic.NAME, certificate.CERTIFICATE, certificate.KEY)
        paths = [self.settings / name for name in names] + ([self.server_keys] if self.server_keys else [])
        return {path: identity(path) for path in paths}


def identity(path: Path) -> Identity | None:
    """Of a file's content: another one once it has been written."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return (state.st_ino, state.st_mtime_ns, state.st_size)
