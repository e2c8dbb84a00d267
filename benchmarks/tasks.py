"""`python -m benchmarks.tasks [MODEL …]`: what serving costs each task, beside its own handler called in a loop."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import typer
import yaml
from rich.console import Console

from benchmarks.in_process import handler
from benchmarks.models import PROJECT
from deploy.archive import Archive
from deploy.models import DEMO
from deploy.serving_plan import Machine
from deploy.tuning.bench import Bench
from deploy.tuning.candidate import CONFIGURATION, Candidate, backends
from deploy.tuning.trial import Trial, merged

HEAD = (
    "model",
    "the bare model, inputs/s",
    "with decoding and encoding",
    "at once",
    "served, inputs/s",
    "of the limit",
    "p50 ms",
    "p99 ms",
    "errors",
)


def main(
    models: Annotated[list[str] | None, typer.Argument(help="Of model_store/; the demo models if none.")] = None,
    concurrency: Annotated[str, typer.Option(help="Requests at once, a list.")] = "1,8,32",
    rounds: Annotated[int, typer.Option(help="The limit and the server are measured in turns.")] = 3,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 2.0,
    items: Annotated[int, typer.Option(help="Inputs in each request; for texts and observations.", min=1)] = 1,
    output: Annotated[Path, typer.Option(help="The table, as Markdown.")] = Path("bench/tasks.md"),
) -> None:
    """Serve each model's archive as it is, with a worker a core, and load it with its own sample over REST."""
    console = Console(stderr=True)
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for model in models or DEMO:
        with console.status(model):
            rows = compared(PROJECT / "model_store" / f"{model}.mar", concurrency, rounds, seconds, items)
        lines += [f"| {model} | {' | '.join(row)} |" for row in rows]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def compared(archive: Path, concurrency: str, rounds: int, seconds: float, items: int = 1) -> list[list[str]]:
    """A row for each concurrency: medians over the rounds, the ratio round by round."""
    machine = Machine.detect()
    candidate = as_it_is(archive, machine)
    levels = [int(n) for n in concurrency.split(",")]
    limits = [handler(archive, size, machine.cores) for size in sorted({items, items * candidate.size})]
    bare = handler(archive, items * candidate.size, machine.cores, "model")
    alone: list[float] = []
    best: list[float] = []
    trials: list[Trial] = []
    try:
        for limit in (bare, *limits):
            limit.start()
        with TemporaryDirectory() as folder, ExitStack() as stack:
            inputs = [several(archive, items, Path(folder))] if items > 1 else None
            bench = stack.enter_context(Bench(archive, levels, seconds, inputs=inputs))
            stack.enter_context(bench.serving(candidate))
            for _ in range(rounds):
                alone.append(bare.throughput(seconds))
                best.append(max(limit.throughput(seconds) for limit in limits))
                trials.append(Trial(candidate, [bench.point(level) for level in levels]))
    finally:
        for limit in (bare, *limits):
            limit.stop()
    rows = []
    for number, point in enumerate(merged(trials).points):
        ratio = median(items * trial.points[number].throughput / top for trial, top in zip(trials, best, strict=True))
        speeds = [
            f"{median(alone):.1f}",
            f"{median(best):.1f}",
            str(point.concurrency),
            f"{items * point.throughput:.1f}",
            f"{ratio:.2f}",
        ]
        rows.append([*speeds, f"{point.p50:.1f}", f"{point.p99:.1f}", str(point.errors)])
    return rows


def several(archive: Path, items: int, folder: Path) -> Path:
    """A request of the archive's sample so many times, in KServe's form."""
    sample = Archive.read(archive).sample(folder)
    text = sample.read_text(encoding="utf-8")
    instance = orjson.loads(text)["data"] if sample.suffix == ".json" else text
    path = folder / "several.json"
    path.write_bytes(orjson.dumps({"instances": [instance] * items}))
    return path


def as_it_is(archive: Path, machine: Machine) -> Candidate:
    """The candidate that `deploy` makes of an archive alone on this machine."""
    with zipfile.ZipFile(archive) as file:
        asked = yaml.safe_load(file.read(CONFIGURATION))["handler"]["threads"]
    threads = 1 if asked == "auto" else int(asked)
    plan = machine.plan(Archive.read(archive), 1)
    return Candidate(backends(archive)[0], plan.workers, threads, plan.batch_size, plan.delay_ms)


if __name__ == "__main__":
    typer.run(main)
