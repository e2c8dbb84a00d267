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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from archiver.archive import BATCH_SIZE
from archiver.mar import Mar
from benchmarks.models import PROJECT
from benchmarks.startup.costs import Costs, Plain, Start
from benchmarks.startup.tables import report
from benchmarks.tasks import as_it_is
from client import RestManagement
from deploy.models import DEMO
from deploy.serving_plan import Machine
from deploy.tuning.bench import Bench
from deploy.worker_environment import ALLOCATOR
from handlers.artifact import Artifact
from handlers.formats.weights import check

POLL = 0.02  # seconds
LIMIT = 300.0  # seconds until a worker must be ready


def measured(archive: Path, rounds: int) -> Costs:
    with (
        tempfile.TemporaryDirectory(prefix="startup-") as temporary,
        Bench(archive, [1], 1.0) as bench,
    ):
        folder = Path(temporary)
        with Mar(archive) as mar:
            mar.extract(folder)
        artifact = Artifact.read(folder / "artifact")
        check(artifact.format, artifact.path, artifact.task)  # the plain program loads them as they are
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
