"""TorchServe's configuration file: the committed one with this checkout's paths and ports filled in."""

from __future__ import annotations

from pathlib import Path

from deploy.ports import HOST, Ports

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATE = PROJECT / "config.properties"


def read(path: Path = TEMPLATE) -> dict[str, str]:
    """A properties file's keys and values."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def render(store: Path, ports: Ports) -> dict[str, str]:
    """The settings of one server."""
    return {
        **read(),
        "inference_address": f"http://{HOST}:{ports.inference}",
        "management_address": f"http://{HOST}:{ports.management}",
        "metrics_address": f"http://{HOST}:{ports.metrics}",
        "grpc_inference_port": str(ports.grpc),
        "grpc_management_port": str(ports.grpc_management),
        "metrics_config": str(PROJECT / "deploy" / "metrics.yaml"),
        "allowed_urls": f"file://{store}/.*",
    }


def write(settings: dict[str, str], path: Path) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
