"""TorchServe's configuration file: the committed one with this checkout's paths and ports filled in."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.ports import HOST, Ports

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATE = PROJECT / "config.properties"


def run_folder() -> Path:
    """The working folder of this checkout's server: its state, logs and keys. BUNDLE_RUN names another."""
    return Path(os.environ.get("BUNDLE_RUN", PROJECT / ".run"))


def read(path: Path = TEMPLATE) -> dict[str, str]:
    """A properties file's keys and values."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def render(
    store: Path, ports: Ports, host: str = HOST, tokens: bool = True, token_minutes: int | None = None
) -> dict[str, str]:
    """The settings of one server.

    host: where it listens; anything but loopback must be a network that only the edge and the monitoring are in.
    tokens: whether TorchServe asks for keys; where an edge does, servers with keys of their own could not stand in for
    one another. token_minutes: how long a key is valid, where not as long as the committed file says.
    """
    settings = read()
    return {
        **settings,
        "token_expiration_min": str(token_minutes or settings["token_expiration_min"]),
        "inference_address": f"http://{host}:{ports.inference}",
        "management_address": f"http://{host}:{ports.management}",
        "metrics_address": f"http://{host}:{ports.metrics}",
        "grpc_inference_address": host,
        "grpc_inference_port": str(ports.grpc),
        "grpc_management_address": host,
        "grpc_management_port": str(ports.grpc_management),
        "disable_token_authorization": str(not tokens).lower(),
        "metrics_config": str(PROJECT / "deploy" / "metrics.yaml"),
        # Java decodes an address after it has compared it, so one with a percent sign or two dots must not match.
        "allowed_urls": settings["allowed_urls"].replace("model_store", str(store)),
    }


def write(settings: dict[str, str], path: Path) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
