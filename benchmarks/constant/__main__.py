"""`python -m benchmarks.constant`: what our handlers' base class costs, beside TorchServe's simplest handler.

Both answer a constant at once. They are served by one TorchServe, with workers, batch size and delay alike, and are
measured in turns; each ratio is of two measurements that followed each other.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
import yaml
from rich.console import Console
from safetensors.torch import save

from archiver.package import python_files
from benchmarks import grpc_load
from benchmarks.constant import function, handler
from benchmarks.models import PROJECT
from client import Server
from deploy.ports import Ports
from deploy.processes import family
from deploy.readiness import load as load_models
from deploy.run_folder import state_of
from deploy.serving_plan import Machine
from deploy.torchserve import TorchServe
from deploy.tuning.rest_load import Target, closed_loop
from deploy.tuning.sample import Sample

OURS, BARE = "ours", "function"
BATCH = {"size": 4, "delay_ms": 1}
WARM_UP = 0.5  # seconds before each measurement
HEAD = (
    "protocol",
    "body",
    "at once",
    "through the base class, answers/s",
    "a bare function",
    "ratio",
    "least–most",
    "CPU µs a request",
    "of the function",
    "errors",
)


@dataclass(frozen=True)
class Body:
    name: str
    content_type: str
    data: bytes


# As an image comes in JSON, and as it comes by itself.
BODIES = (
    Body("1 KB of JSON", "application/json", json.dumps({"data": base64.b64encode(bytes(756)).decode()}).encode()),
    Body("100 KB", "application/octet-stream", bytes(100 << 10)),
)


@dataclass(frozen=True)
class Measurement:
    """throughput: answers a second. cpu: microseconds of processor time a request, the server's and its workers'."""

    throughput: float
    cpu: float
    errors: int


@dataclass(frozen=True)
class Pair:
    """Two measurements that followed each other."""

    ours: Measurement
    bare: Measurement

    @property
    def ratio(self) -> float:
        return self.ours.throughput / self.bare.throughput


def archives(store: Path, workers: int) -> list[Path]:
    """Both models, each with `workers` workers."""
    settings = {
        **{"minWorkers": workers, "maxWorkers": workers, "maxBatchDelay": 100, "responseTimeout": 30},
        "handler": {
            "class": "constant_handler.Constant",
            "threads": 1,
            "request_s": 10,
            "limits": {"max_bytes": 1 << 20, "max_instances": 1},
        },
    }
    description: dict[str, Any] = {
        "name": OURS,
        "task": "constant",
        "format": "safetensors",
        "weights": "weights.safetensors",
        "architecture": None,
        "labels": [],
    }
    code = {f"handlers/{name}": path.read_bytes() for name, path in python_files(PROJECT / "handlers").items()}
    ours = {
        "entry.py": code["handlers/entry.py"],
        "constant_handler.py": Path(handler.__file__).read_bytes(),
        "card.json": json.dumps({"version": "1.0", "workers": workers, "batch": BATCH}).encode(),
        "artifact/artifact.json": json.dumps({**description, "preprocessing": {}, "sample": "sample.json"}).encode(),
        "artifact/weights.safetensors": save({"none": torch.zeros(1)}),
        "artifact/sample.json": BODIES[0].data,
        **code,
    }
    bare = {
        "function.py": Path(function.__file__).read_bytes(),
        # For deploy.readiness, which asks each model with its sample.
        **{name: ours[name] for name in ("card.json", "artifact/artifact.json", "artifact/sample.json")},
    }
    return [
        archive(store / f"{OURS}.mar", "entry.py", ours, settings),
        archive(store / f"{BARE}.mar", "function.py", bare, settings),
    ]


def archive(path: Path, handler: str, members: dict[str, bytes], settings: dict[str, Any]) -> Path:
    manifest = {
        "createdOn": "01/01/1980 00:00:00",
        "runtime": "python",
        "model": {
            **{"modelName": path.stem, "handler": handler, "modelVersion": "1.0", "configFile": "model-config.yaml"},
        },
        "archiverVersion": "0.12.0",
    }
    with zipfile.ZipFile(path, "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        mar.writestr("model-config.yaml", yaml.safe_dump(settings))
        for name, data in members.items():
            mar.writestr(name, data)
    return path


@contextmanager
def serving(workers: int) -> Iterator[TorchServe]:
    """Both models on one server, loaded."""
    folder = Path(tempfile.mkdtemp(prefix="constant-"))
    try:
        found = archives(folder, workers)
        ports = Ports.free()
        with TorchServe(folder, folder / "run", ports, tokens=False) as server:
            load_models(server.run, found)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(
    running: TorchServe, protocol: str, model: str, body: Body, concurrency: int, seconds: float
) -> Measurement:
    before = cpu_seconds(running)
    sample = load(running.server, protocol, model, body, concurrency, seconds)
    # Of the requests of the warm-up there is no count, but the same rate.
    answers = sample.throughput * (seconds + WARM_UP)
    cpu = (cpu_seconds(running) - before) / answers * 1e6 if answers else float("nan")
    return Measurement(sample.throughput, cpu, sample.errors)


def cpu_seconds(running: TorchServe) -> float:
    """Of the server and all workers so far; those of the model that is not asked wait."""
    times = [member.cpu_times() for member in family(state_of(running.run))]
    return sum(time.user + time.system for time in times)


def load(server: Server, protocol: str, model: str, body: Body, concurrency: int, seconds: float) -> Sample:
    if protocol == "gRPC":
        return grpc_load.closed_loop(
            server.grpc, model, [body.data], concurrency, seconds, WARM_UP, body.content_type.encode()
        )
    port = int(server.inference.rpartition(":")[2])
    target = Target(port, f"/predictions/{model}", {"Content-Type": body.content_type})
    return closed_loop(target, [body.data], concurrency, seconds, WARM_UP)


def compared(
    protocols: Sequence[str], levels: Sequence[int], workers: int, rounds: int, seconds: float, settle: float
) -> dict[tuple[str, str, int], list[Pair]]:
    """(protocol, body, requests at once) → a pair a round; who comes first changes from round to round."""
    found: dict[tuple[str, str, int], list[Pair]] = {}
    with serving(workers) as running:
        for protocol in protocols:
            for model in (OURS, BARE):  # a server compiles itself under its first load
                load(running.server, protocol, model, BODIES[0], max(levels), settle)
        for number in range(rounds):
            for protocol in protocols:
                for body in BODIES:
                    for level in levels:
                        order = (OURS, BARE) if number % 2 == 0 else (BARE, OURS)
                        both = {name: measure(running, protocol, name, body, level, seconds) for name in order}
                        pair = Pair(both[OURS], both[BARE])
                        found.setdefault((protocol, body.name, level), []).append(pair)
    return found


def table(found: dict[tuple[str, str, int], list[Pair]]) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for (protocol, body, level), pairs in found.items():
        ratios = [pair.ratio for pair in pairs]
        row = [protocol, body, str(level)]
        row += [f"{median(one.throughput for one in side):.0f}" for side in sides(pairs)]
        row += [f"{median(ratios):.2f}", f"{min(ratios):.2f}–{max(ratios):.2f}"]
        row += [f"{median(one.cpu for one in side):.0f}" for side in sides(pairs)]
        row.append(str(sum(one.errors for side in sides(pairs) for one in side)))
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def sides(pairs: Sequence[Pair]) -> tuple[list[Measurement], list[Measurement]]:
    return [pair.ours for pair in pairs], [pair.bare for pair in pairs]


def main(
    concurrency: Annotated[str, typer.Option(help="Requests at once, a list.")] = "1,8,32",
    workers: Annotated[int, typer.Option(help="Of each model; 0: a core each.")] = 0,
    rounds: Annotated[int, typer.Option(help="Both are measured once a round.", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 2.0,
    grpc: Annotated[bool, typer.Option(help="Over gRPC as well.")] = True,
    output: Annotated[Path, typer.Option(help="The table, as Markdown.")] = Path("bench/constant.md"),
) -> None:
    """Serve a constant through our base class and through a bare function, and load both in turns."""
    levels = [int(level) for level in concurrency.split(",")]
    protocols = ["REST", "gRPC"] if grpc else ["REST"]
    with Console(stderr=True).status("serving a constant, measuring in turns"):
        found = compared(protocols, levels, workers or Machine.detect().cores, rounds, seconds, settle=5.0)
    text = table(found)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    typer.run(main)
