"""`python -m tests.containers.sizing OUTPUT [IMAGE]`: `bundle bench` on two pods of a model of known service time.

The model sleeps, so that two pods on one machine do not take each other's cores. OUTPUT gets deployment.json and the
plot of docs/kubernetes.md: p99 over utilisation, measured and by the queueing model.
"""

from __future__ import annotations

import ipaddress
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from matplotlib.figure import Figure
from safetensors.torch import save
from typer.testing import CliRunner

from archiver.package import python_files
from benchmarks.constant.__main__ import archive
from benchmarks.deployment.__main__ import app
from deploy.configuration import PROJECT
from deploy.edge import certificate, clients
from tests.containers import sleeping_handler
from tests.containers.pod import NETWORK, EdgePod, ServerPod, docker

REPLICAS, WORKERS = 2, 2  # of each replica
UTILISATIONS = (0.3, 0.5, 0.7, 0.85)
SECONDS = 90


def sleeping_archive(path: Path) -> None:
    code = {f"handlers/{name}": file.read_bytes() for name, file in python_files(PROJECT / "handlers").items()}
    description = {"name": path.stem, "task": "", "format": "safetensors", "weights": "weights.safetensors"}
    description |= {"architecture": None, "labels": [], "preprocessing": {}, "sample": "sample.json"}  # type: ignore[dict-item]
    members = {
        "entry.py": code["handlers/entry.py"],
        "sleeping_handler.py": Path(sleeping_handler.__file__).read_bytes(),
        "card.json": json.dumps({"version": "1.0", "workers": WORKERS, "batch": {"size": 1, "delay_ms": 0}}).encode(),
        "artifact/artifact.json": json.dumps(description).encode(),
        "artifact/weights.safetensors": save({"none": torch.zeros(1)}),
        "artifact/sample.json": b'{"data": "eA=="}',
        **code,
    }
    settings: dict[str, Any] = {
        "minWorkers": WORKERS,
        "maxWorkers": WORKERS,
        "maxBatchDelay": 100,
        "responseTimeout": 30,
    }
    settings["handler"] = {
        "class": "sleeping_handler.Sleeping",
        "threads": 1,
        "request_s": 10,
        "limits": {"max_bytes": 1 << 20, "max_instances": 1},
    }
    archive(path, "entry.py", members, settings)


@contextmanager
def pods(folder: Path, image: str) -> Iterator[str]:
    """The edge's address, with both servers behind it. folder: for archives, keys and a certificate."""
    store, settings = folder / "store", folder / "settings"
    store.mkdir()
    sleeping_archive(store / "sleeping.mar")
    with ExitStack() as stack:
        docker("network", "create", NETWORK)
        stack.callback(docker, "network", "rm", NETWORK)
        subnet = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", NETWORK)
        hosts = [str(host) for host, _ in zip(ipaddress.ip_network(subnet).hosts(), range(16), strict=False)]
        clients.ensure(settings / clients.NAME)
        certificate.ensure(settings, hosts)
        for path in (folder, store, settings, *store.iterdir(), *settings.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o444)
        servers = []
        for _ in range(REPLICAS):
            servers.append(ServerPod(store, image))
            stack.callback(servers[-1].remove)
        edge = EdgePod(settings, image)
        stack.callback(edge.remove)
        for server in servers:
            server.wait_started()
        time.sleep(4)  # the edge looks up the servers every other second
        yield edge.address


def measure(address: str, folder: Path, output: Path) -> dict[str, Any]:
    key = yaml.safe_load((folder / "settings" / clients.NAME).read_text())["clients"]["default"]["key"]
    keys = folder / "keys.json"
    keys.write_text(json.dumps({name: {"key": key} for name in ("inference", "management", "API")}))
    (folder / "input.json").write_text('{"data": "eA=="}')
    capacity = REPLICAS * WORKERS / sleeping_handler.MEAN
    arguments = [f"https://{address}:8443/predictions/sleeping", "-i", str(folder / "input.json")]
    arguments += ["--rate", ",".join(f"{share * capacity:.1f}" for share in UTILISATIONS), "--seconds", str(SECONDS)]
    arguments += ["--key-file", str(keys), "--ca-file", str(folder / "settings" / certificate.CERTIFICATE)]
    arguments += ["--workers", str(REPLICAS * WORKERS), "--replicas", str(REPLICAS), "--p99", "300ms"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    print(done.output)
    found: dict[str, Any] = json.loads((output / "deployment.json").read_text())
    return found


def plot(found: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    capacity = REPLICAS * found["replica"]["capacity"]
    shares = [each["rate"] / capacity for each in found["measurements"]]
    for name, style in (("p50", "o"), ("p99", "s")):
        axes.plot(shares, [each[name] for each in found["measurements"]], f"C0{style}-", label=f"{name}, measured")
        predicted = [each[f"{name}_by_the_model"] for each in found["measurements"]]
        axes.plot(shares, predicted, f"C1{style}--", label=f"{name}, by the model")
    axes.set(xlabel="utilisation", ylabel="ms since a request was due", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    output = Path(sys.argv[1])
    image = sys.argv[2] if len(sys.argv) > 2 else "torchserve-bundle/server:0.1.0"
    with tempfile.TemporaryDirectory() as temporary, pods(Path(temporary), image) as address:
        found = measure(address, Path(temporary), output)
    plot(found, output / "sizing.png")


if __name__ == "__main__":
    main()
