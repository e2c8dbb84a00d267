"""`python -m benchmarks.startup [MODEL …]`: how long a worker takes to be ready and what it holds in memory.

Beside it, in turns, the same model in plain Python (benchmarks/bare_start.py): torch, what the model needs, the model
and its warm-up, from the start of the process. The server is up already, and the files are in the page cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from archiver.archive import BATCH_SIZE
from benchmarks.models import PROJECT
from benchmarks.tasks import as_it_is
from benchmarks.worker_parts import PARTS
from client import RestManagement
from deploy.models import DEMO
from deploy.serving_plan import Machine
from deploy.torchserve import ALLOCATOR
from deploy.tuning.bench import Bench

POLL = 0.02  # seconds
LIMIT = 300.0  # seconds until a worker must be ready
TIMES = (
    "model",
    "worker ready, s",
    "plain Python, s",
    "ratio",
    "least–most",
    "until the worker's process starts, s",
    "CPU, s",
    "of plain Python",
    "ratio of the CPU's",
)
MEMORY = ("model", "plain Python", "one worker: PSS", "USS", "two workers: PSS together", "USS of each", "libraries")


@dataclass(frozen=True)
class Start:
    """Seconds until a worker was ready, `spawned` of them until its process was there; its memory in bytes.

    cpu: seconds of processor time of the worker. two: PSS of two workers together. second: USS of each of them.
    """

    seconds: float
    cpu: float
    spawned: float
    pss: int
    uss: int
    two: int
    second: float


@dataclass(frozen=True)
class Plain:
    """The same model in plain Python: seconds from the start of the process, of its processor time, and its bytes."""

    seconds: float
    cpu: float
    uss: int


@dataclass(frozen=True)
class Costs:
    """pairs: one a round. parts: (seconds, USS in bytes) after each of PARTS, once. libraries: that a worker holds."""

    pairs: Sequence[tuple[Start, Plain]]
    parts: Sequence[tuple[float, int]]
    libraries: Sequence[str]

    @property
    def ratios(self) -> list[float]:
        return [start.seconds / plain.seconds for start, plain in self.pairs]


def measured(archive: Path, rounds: int) -> Costs:
    with (
        tempfile.TemporaryDirectory(prefix="startup-") as temporary,
        Bench(archive, [1], 1.0) as bench,
    ):
        folder = Path(temporary)
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        candidate = replace(as_it_is(archive, Machine.detect()), workers=1)
        candidate.write(archive, bench.store / "candidate.mar", 0)
        size = BATCH_SIZE  # of an archive that is registered without one
        plain(folder, size)  # fills the page cache
        pairs = []
        for number in range(rounds):
            if number % 2:
                other = plain(folder, size)
                pairs.append((served(bench), other))
            else:
                pairs.append((served(bench), plain(folder, size)))
        found = parts(folder)
    return Costs(pairs, [(part["seconds"], part["uss"]) for part in found["parts"]], found["libraries"])


def served(bench: Bench) -> Start:
    """Register the model, wait until its one worker is ready, weigh it, add another, weigh both, take all away."""
    with RestManagement(bench.server.server) as management:
        started = time.perf_counter()
        management.register("candidate.mar", synchronous=False)
        try:
            wait(management, bench.name, 1, started)
            seconds = time.perf_counter() - started
            [worker] = workers(management, bench.name)
            spawned = seconds - age(worker)
            times = worker.cpu_times()
            one = worker.memory_full_info()
            management.scale(bench.name, 2)
            wait(management, bench.name, 2, time.perf_counter())
            two = [worker.memory_full_info() for worker in workers(management, bench.name)]
        finally:
            management.unregister(bench.name)
    cpu = times.user + times.system
    return Start(seconds, cpu, spawned, one.pss, one.uss, sum(m.pss for m in two), median(m.uss for m in two))


def age(process: psutil.Process) -> float:
    """Seconds since its start, to a hundredth; psutil's own is from a boot time in whole seconds."""
    ticks = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    uptime = Path("/proc/uptime").read_text(encoding="ascii").split()[0]
    return float(uptime) - int(ticks) / os.sysconf("SC_CLK_TCK")


def wait(management: RestManagement, model: str, count: int, started: float) -> None:
    while len(workers(management, model)) < count:
        if time.perf_counter() - started > LIMIT:
            raise RuntimeError(f"{model} is not ready after {LIMIT:.0f} s")
        time.sleep(POLL)


def workers(management: RestManagement, model: str) -> list[psutil.Process]:
    """Those that have loaded the model."""
    found = management.describe(model).workers
    return [psutil.Process(worker.pid) for worker in found if worker.status == "READY"]


def plain(folder: Path, size: int) -> Plain:
    started = time.perf_counter()
    with program("benchmarks.bare_start", str(folder / "artifact"), str(size)) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the plain program ended with {process.wait()}")
        seconds = time.perf_counter() - started
        memory = json.loads(process.stdout.readline())
    return Plain(seconds, memory["cpu"], memory["uss"])


def parts(folder: Path) -> dict[str, Any]:
    with program("benchmarks.worker_parts", str(folder)) as process:
        text, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"benchmarks.worker_parts ended with {process.returncode}")
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


@contextmanager
def program(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """As a worker is started, but by us."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env={**os.environ, **ALLOCATOR, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process


def times_row(model: str, costs: Costs) -> list[str]:
    starts, plains = zip(*costs.pairs, strict=True)
    return [
        model,
        f"{median(start.seconds for start in starts):.2f}",
        f"{median(other.seconds for other in plains):.2f}",
        f"{median(costs.ratios):.2f}",
        f"{min(costs.ratios):.2f}–{max(costs.ratios):.2f}",
        f"{median(start.spawned for start in starts):.2f}",
        f"{median(start.cpu for start in starts):.2f}",
        f"{median(other.cpu for other in plains):.2f}",
        f"{median(start.cpu / other.cpu for start, other in costs.pairs):.2f}",
    ]


def memory_row(model: str, costs: Costs) -> list[str]:
    starts, plains = zip(*costs.pairs, strict=True)
    return [
        model,
        mib(median(other.uss for other in plains)),
        mib(median(start.pss for start in starts)),
        mib(median(start.uss for start in starts)),
        mib(median(start.two for start in starts)),
        mib(median(start.second for start in starts)),
        ", ".join(costs.libraries),
    ]


def parts_row(model: str, costs: Costs) -> list[str]:
    """Of each part what it adds: seconds, and MiB of the process's own memory."""
    before = [0, *(uss for _, uss in costs.parts)]
    return [
        model,
        *(f"{seconds:.2f} s, {mib(uss - last)}" for (seconds, uss), last in zip(costs.parts, before, strict=False)),
    ]


def mib(size: float) -> str:
    return f"{size / 2**20:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def report(found: dict[str, Costs]) -> str:
    return "\n".join(
        [
            table(TIMES, [times_row(*item) for item in found.items()]),
            table(("model", *PARTS), [parts_row(*item) for item in found.items()]),
            table(MEMORY, [memory_row(*item) for item in found.items()]),
        ]
    )


def main(
    models: Annotated[list[str] | None, typer.Argument(help="Of model_store/; the demo models if none.")] = None,
    rounds: Annotated[int, typer.Option(help="The worker and the plain program are started in turns.", min=1)] = 3,
    output: Annotated[Path, typer.Option(help="The tables, as Markdown.")] = Path("bench/startup.md"),
) -> None:
    """Start a worker of each model and the same model in plain Python, in turns; memory in MiB."""
    found: dict[str, Costs] = {}
    output.parent.mkdir(parents=True, exist_ok=True)
    with Console(stderr=True).status("") as status:
        for model in models or DEMO:
            status.update(model)
            found[model] = measured(PROJECT / "model_store" / f"{model}.mar", rounds)
            output.write_text(report(found), encoding="utf-8")  # an interrupted run keeps what it has
    print(report(found), end="")


if __name__ == "__main__":
    typer.run(main)
