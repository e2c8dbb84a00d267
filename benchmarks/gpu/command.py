"""The command behind `./scripts/bench --gpu`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.gpu.functional import FAILED, PASSED, outcomes
from benchmarks.gpu.limits import decode_limits, forward_limits, handler_limits, nvjpeg_limits
from benchmarks.gpu.model import MODELS
from benchmarks.gpu.probe import probe, table
from benchmarks.gpu.report import Report
from benchmarks.gpu.setting import Setting
from benchmarks.images import images
from benchmarks.models import PROJECT, Classifier

SETTINGS = "16x2@auto,16x2@gpu,32x2@gpu,64x2@gpu,32x3@gpu,32x2x8@cpu"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True, highlight=False)


def settings_of(text: str) -> list[Setting]:
    try:
        return [Setting.parse(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def bench(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=f"Of {', '.join(MODELS)}.")] = "resnet50",
    sizes: Annotated[str, typer.Option(help="Batch sizes of the limits, a list.")] = "1,8,32,64,128",
    settings: Annotated[
        str, typer.Option(help="BATCHxWORKERS@DECODE or BATCHxWORKERSxTHREADS@DECODE; 16x2@auto: as `deploy` plans it.")
    ] = SETTINGS,
    concurrency: Annotated[str, typer.Option(help="Requests at once, a list.")] = "8,32,64,128,256",
    seconds: Annotated[float, typer.Option(help="Of each measurement of the server; half of it for a limit.")] = 2.0,
    minutes: Annotated[float, typer.Option(help="No setting is begun after them.")] = 8.0,
    store: Annotated[
        Path, typer.Option(help="Folder of archives to compare on CPU and GPU; skipped if it does not exist.")
    ] = PROJECT / "model_store",
    probing: Annotated[
        bool, typer.Option("--probe/--no-probe", help="First describe machine, decoders and archives; 2 minutes.")
    ] = True,
    testing: Annotated[
        bool, typer.Option("--test/--no-test", help="Before that, run the tests that need a GPU; a minute.")
    ] = True,
    output: Annotated[Path, typer.Option(help="Measurements as JSON, table and plot.")] = Path("bench"),
) -> None:
    """Measure on the first GPU; write OUTPUT/<model>-gpu.json, .md, .png and the server's logs.

    The exit status is 1 if a test failed; the measurements are made all the same.
    """
    end = monotonic() + 60 * minutes
    if model not in MODELS:
        raise typer.BadParameter(f"{model!r}; there are {', '.join(MODELS)}")
    asked = settings_of(settings)
    batches, levels = ([int(part) for part in text.split(",")] for text in (sizes, concurrency))
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    output.mkdir(parents=True, exist_ok=True)
    report = Report(model, output / f"{model}-gpu")
    sections = [tested(report)] if testing else []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        for section in chain(sections, probe(sorted(store.glob("*.mar")), device) if probing else ()):
            console.print(section)
            report.sections.append(section)
            report.save()
        archive = MODELS[model].archive(folder / "store", images()[0], "backend: torch\n")
        measure_limits(report, MODELS[model], archive, folder, asked, batches, seconds / 2, device)
        report.save()
        if context.obj:
            report.notes.append(f"Nothing was served: {context.obj}.")
        else:
            serve(report, MODELS[model], archive, folder, asked, levels, seconds, end, device)
    print(report.save())
    if report.failed:
        raise typer.Exit(1)


def tested(report: Report) -> str:
    """The outcome of the tests that need a GPU, as a table of those that did not pass; `report` notes that they did
    not."""
    log = report.path.with_name(f"{report.path.name}-tests.txt")
    try:
        found = outcomes(log)
    except RuntimeError as error:
        report.failed = True
        return f"The tests that need a GPU were not run: {error}."
    others = [list(row) for row in found if row[1] != PASSED]
    report.failed = any(word.startswith(FAILED) for _, word in others)
    passed = f"Of {len(found)} tests that need a GPU {len(found) - len(others)} passed."
    return f"{passed}\n\n{table(('test', 'outcome'), others)}" if others else passed


def measure_limits(
    report: Report,
    classifier: Classifier,
    archive: Path,
    folder: Path,
    settings: Sequence[Setting],
    sizes: Sequence[int],
    seconds: float,
    device: torch.device,
) -> None:
    """A part that fails leaves the others their time; why is noted."""
    gpus = int(device.type == "cuda")
    parts = [
        nvjpeg_limits(sizes, seconds, device),
        decode_limits(sizes, seconds, device),
        forward_limits(classifier, sizes, seconds, device),
    ]
    for decode in sorted({setting.decode for setting in settings}):
        largest = max((one for one in settings if one.decode == decode), key=lambda one: one.size)
        place = folder / f"handler-{decode}"
        largest.write(archive, folder / f"{decode}.mar", gpus)
        own = [size for size in sizes if size <= largest.size]
        name = f"decode {decode}, {largest.threads or 'auto'} threads"
        parts.append(handler_limits(folder / f"{decode}.mar", place, name, own, seconds, device))
    for part in parts:
        try:
            for limit in part:
                console.print(f"{limit.part}, {limit.name}, batches of {limit.size}: {limit.throughput:.0f}/s")
                report.limits.append(limit)
        except Exception as error:  # noqa: BLE001 - minutes of measurements are kept whatever one part does
            report.notes.append(f"Broken off: {type(error).__name__}: {error}")
            console.print(report.notes[-1], style="red")
    if device.type == "cuda":
        torch.cuda.empty_cache()


def serve(
    report: Report,
    classifier: Classifier,
    archive: Path,
    folder: Path,
    settings: Sequence[Setting],
    levels: Sequence[int],
    seconds: float,
    end: float,
    device: torch.device,
) -> None:
    from benchmarks.gpu.served import Serving  # which imports the server's side

    logs = report.path.with_name(f"{report.path.name}-logs")
    serving = Serving(classifier, archive, levels, seconds, report.constant, int(device.type == "cuda"), logs)
    for found in serving.run(settings, folder, lambda: monotonic() > end):
        if isinstance(found, str):
            report.notes.append(found)
            console.print(found, style="red")
            continue
        m = found.measurement
        console.print(f"{m.name}, {m.concurrency} at once: {m.throughput:.0f}/s, p99 {m.p99:.1f} ms, {found.busy:.0%}")
        report.served.append(found)
        report.save()
