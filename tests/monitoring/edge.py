"""A bare Envoy before a server's REST: the real edge's metrics without its rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from deploy.ports import HOST

TYPES = "type.googleapis.com/envoy.extensions.filters"


def address(port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": HOST, "port_value": port}}}


class Edge:
    """folder: for its configuration and log. port: of its listener; admin: of its metrics; server: TorchServe's."""

    def __init__(self, folder: Path, port: int, admin: int, server: int) -> None:
        self.folder = folder
        router = {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}
        hosts = [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "rest"}}]}
        ]
        manager = {
            "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "edge",
            "route_config": {"virtual_hosts": hosts},
            "http_filters": [router],
        }
        filters = [{"name": "manager", "typed_config": manager}]
        endpoints = [{"lb_endpoints": [{"endpoint": address(server)}]}]
        self.settings = {
            "admin": address(admin),
            "static_resources": {
                "listeners": [{**address(port), "filter_chains": [{"filters": filters}]}],
                "clusters": [{"name": "rest", "load_assignment": {"cluster_name": "rest", "endpoints": endpoints}}],
            },
        }

    def __enter__(self) -> Edge:
        path = self.folder / "envoy.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        command = [str(Path(sys.executable).with_name("envoy")), "-c", str(path), "--concurrency", "1"]
        # The base id names shared memory; another Envoy on this machine may have the first.
        with (self.folder / "envoy.log").open("wb") as log:
            self.process = subprocess.Popen([*command, "--use-dynamic-base-id"], stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(20)
