"""Docker and its compose plugin, which only the stack of containers needs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok

PATIENCE = 10.0


def containers(checkout: Checkout) -> Iterator[Finding]:
    if shutil.which("docker") is None:
        yield note("Docker", "not installed; only `docker compose up` needs it")
        return
    engine = answer("docker", "version", "--format", "{{.Server.Version}}")
    compose = answer("docker", "compose", "version", "--short")
    if not engine:
        yield note("Docker", "installed, but no engine answers", "start it, or see `docker version`")
    elif not compose:
        yield note("Docker", f"engine {engine}, without the compose plugin", "install docker-compose-plugin")
    else:
        yield ok("Docker", f"engine {engine}, compose {compose}")


def answer(*command: str) -> str:
    """Standard output of a command; empty if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
