"""The stack of compose.yaml under a name and port of its own, on a real Docker engine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import requests

from deploy.configuration import PROJECT

NAME = "bundle-test"
PORT = 18443
# Grafana's image holds no Debian package: its dashboard is tested against a real Prometheus, in tests/monitoring.
SERVICES = ("models", "configure", "server", "edge", "prometheus")


def engine_answers() -> bool:
    docker = shutil.which("docker", path="/usr/bin") or "docker"
    return subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


class Stack:
    """folder: for the secrets. store: archives to serve. limited: the key of a caller with a low rate."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.limited = secrets.token_urlsafe(32)
        callers = {
            "default": {"key": secrets.token_urlsafe(32)},
            "limited": {"key": self.limited, "requests_per_second": 5, "burst": 20},
            "admin": {"key": secrets.token_urlsafe(32), "admin": True},
        }
        (self.secrets / "clients.yaml").write_text(json.dumps({"clients": callers}), encoding="utf-8")
        override = folder / "override.yaml"
        services = {
            "configure": {"volumes": [f"{self.secrets}:/secrets"]},
            "models": {"entrypoint": ["true"]},  # the store is not to get the demo models as well
        }
        override.write_text(json.dumps({"services": services}), encoding="utf-8")
        self.files = ["-f", str(PROJECT / "compose.yaml"), "-f", str(override)]
        self.environment = {
            **os.environ,
            "PATH": f"/usr/bin:{os.environ['PATH']}",
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_DOCKER_CLI_BUILD": "1",
            "COMPOSE_PROJECT_NAME": NAME,
            "MODEL_STORE": str(store),
            "EDGE_PORT": str(PORT),
        }

    def run(self, *command: str, timeout: float = 900) -> str:
        """The output of a command; AssertionError with it where it fails."""
        done = subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def compose(self, *arguments: str) -> str:
        return self.run("docker-compose", *self.files, *arguments)

    def up(self, servers: int = 1) -> None:
        self.compose("up", "-d", "--scale", f"server={servers}", *SERVICES)
        self.wait_healthy(servers)

    def containers(self, service: str) -> list[str]:
        """Ids of a service's running containers; asked for every second, for which docker-compose starts too slowly."""
        labels = (f"label=com.docker.compose.{name}" for name in (f"project={NAME}", f"service={service}"))
        return self.run("docker", "ps", "-q", *(option for label in labels for option in ("--filter", label))).split()

    def health(self, container: str) -> str:
        return self.run("docker", "inspect", "-f", "{{.State.Health.Status}}", container).strip()

    def wait_healthy(self, servers: int, seconds: float = 240) -> None:
        """Until every server and the edge are healthy, and the edge knows it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [*self.containers("server"), *self.containers("edge")]
            if len(found) == servers + 1 and all(self.health(each) == "healthy" for each in found) and self.ready():
                time.sleep(3)  # the edge looks up the servers' addresses every other second
                return
            time.sleep(1)
        raise AssertionError(self.compose("logs", "--tail", "40"))

    def ready(self) -> bool:
        try:
            return requests.get(f"https://localhost:{PORT}/readyz", verify=self.ca_file, timeout=3).ok
        except requests.RequestException:
            return False

    @property
    def ca_file(self) -> str:
        return str(self.secrets / "tls.crt")

    def key(self, name: str) -> str:
        """The key of "inference" (a caller's) or "management" (an admin's)."""
        return str(json.loads((self.secrets / "keys.json").read_text(encoding="utf-8"))[name]["key"])
