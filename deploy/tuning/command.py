"""`python -m deploy tune`."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from client import ClientError
from deploy.archive import Archive
from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.models import choose
from deploy.run_folder import running
from deploy.serving_plan import Machine
from deploy.tuning import spec_file
from deploy.tuning.bench import Bench
from deploy.tuning.candidate import Candidate, backends
from deploy.tuning.search import search
from deploy.tuning.space import DECODERS, Space
from deploy.tuning.trial import Trial

SHOWN = 8  # of the trials, in the table
UNWRAPPED = 120  # columns, where the output is a file or a pipe

console = Console()


def milliseconds(text: str) -> float:
    """`50ms`, `50` or `0.05s` in milliseconds."""
    number = text.strip().lower()
    factor = 1.0
    for suffix, value in (("ms", 1.0), ("s", 1000.0)):
        if number.endswith(suffix):
            number, factor = number.removesuffix(suffix), value
            break
    try:
        found = float(number) * factor
    except ValueError:
        raise typer.BadParameter(f"{text!r}: wanted a time, as in 50ms") from None
    if not found > 0:
        raise typer.BadParameter(f"{text!r}: wanted more than nothing")
    return found


def tune(
    model: Annotated[str, typer.Argument(help="Of the demo models, or any other whose archive is in model_store/.")],
    p99: Annotated[
        float | None,
        typer.Option(parser=milliseconds, metavar="TIME", help="The longest 99th percentile to accept, as in 50ms."),
    ] = None,
    concurrency: Annotated[
        str, typer.Option(help="Requests at once, a list; each candidate is tried at all.")
    ] = "1,8,32",
    seconds: Annotated[float, typer.Option(help="Of each measurement.", min=0.5)] = 2.0,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", exists=True, dir_okay=False, help="A file to send, of one type; the archive's sample."),
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The model's, where not in archiver/specs/.")
    ] = None,
    write: Annotated[bool, typer.Option("--write/--no-write", help="Put the winner into the model's spec.")] = True,
    output: Annotated[Path, typer.Option(help="For the plot and all measurements.")] = PROJECT / ".run" / "tune",
) -> None:
    """Find the workers, threads, batch size, delay and backend that answer most requests on this machine.

    Every candidate is served by a TorchServe of its own on loopback. Writes OUTPUT/MODEL.png and .json, and the winner
    into the model's spec; the next ./scripts/serve builds the archive again. Close other programs first.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        plot = plotter()
        [chosen] = choose([model], "demo")
        if not chosen.archive.is_file():
            raise DeployError(f"{chosen.archive} is not there; ./scripts/serve {model} makes it")
        spec = spec or chosen.spec
        if write and not spec.is_file():
            raise DeployError(f"{spec} is not there; --spec names the model's spec, --no-write leaves it alone")
        if running(PROJECT / ".run"):
            raise DeployError("a server of this checkout is running and would take part; ./scripts/stop ends it")
        machine = Machine.detect().serving(Archive.read(chosen.archive))
        trials = measured(chosen.archive, machine, [int(n) for n in concurrency.split(",")], seconds, inputs, p99)
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{model}.json").write_text(json.dumps([asdict(t) for t in trials], indent=1), encoding="utf-8")
        plot(trials, p99, output / f"{model}.png")
        if not console.is_terminal:
            console.width = UNWRAPPED
        console.print(table(trials, p99))
        console.print(f"All points: {output / model}.png and .json", soft_wrap=True)
        winner = trials[0]
        if not winner.score(p99):
            raise DeployError("no candidate stays within the bound" if p99 else f"none can be served: {winner.problem}")
        if write:
            keys = winner.candidate.keys()
            if machine.gpus:
                keys.pop("backend")  # which is about CPUs: the archive keeps its graph for those
            if winner.candidate.decode:
                keys["options"] = spec_file.mapping(spec, "options") | {"decode": winner.candidate.decode}
            spec_file.write(spec, keys)
            console.print(f"{winner.candidate}: written to {spec}", soft_wrap=True)
        else:
            console.print(f"The best: {winner.candidate}", soft_wrap=True)
    except (DeployError, ClientError, ValueError) as error:
        typer.echo(f"tune: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None


def plotter() -> Callable[[Sequence[Trial], float | None, Path], None]:
    """deploy.tuning.plot.plot; matplotlib comes with the training environment alone."""
    try:
        from deploy.tuning.plot import plot
    except ModuleNotFoundError as error:
        raise DeployError(f"{error.name} is not installed; ./scripts/setup train does that") from None
    return plot


def measured(
    archive: Path,
    machine: Machine,
    concurrencies: list[int],
    seconds: float,
    inputs: list[Path] | None,
    p99: float | None,
) -> list[Trial]:
    """All trials, the best first, with progress."""
    choice = "decode" in Archive.read(archive).card.get("options", {})
    space = Space(machine.cores, machine.gpus, backends(archive), DECODERS if choice else ("",))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Bench(archive, concurrencies, seconds, machine.gpus, inputs) as bench,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("starting")

        def measure(candidate: Candidate) -> Trial:
            trial = bench.measure(candidate)
            point = trial.best(p99)
            said = f"{point.throughput:.1f}/s, p99 {point.p99:.1f} ms" if point else trial.problem or "over the bound"
            progress.console.print(f"{candidate}: {said}", soft_wrap=True)
            progress.advance(task)
            return trial

        def tell(total: int, stage: str) -> None:
            progress.update(task, total=total, description=stage)

        return search(space, measure, p99, tell)


def table(trials: Sequence[Trial], p99: float | None) -> Table:
    """The best few."""
    decode = ["decode"] if any(trial.candidate.decode for trial in trials) else []
    numbers = ("workers", "threads", "batch", "delay ms", "at once", "answers/s", "p50 ms", "p99 ms")
    found = Table("backend", *decode, *numbers)
    for trial in trials[:SHOWN]:
        point, candidate = trial.best(p99), trial.candidate
        if point is None:
            continue
        found.add_row(
            candidate.backend,
            *([candidate.decode] if decode else []),
            *(str(n) for n in (candidate.workers, candidate.threads, candidate.size, candidate.delay_ms)),
            str(point.concurrency),
            *(f"{value:.1f}" for value in (point.throughput, point.p50, point.p99)),
        )
    return found
