"""`python -m archiver build|verify|list|inspect|diff|sbom|keygen|sign|verify-signature`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from time import perf_counter
from typing import Annotated

import psutil
import typer
from rich.box import SIMPLE
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from archiver import signing, spec, store
from archiver.archive import Archive, build
from archiver.errors import ArchiverError
from archiver.package import Package, resolve
from archiver.reports import command as reports
from archiver.reports.text import plain
from archiver.verification.verify import verify

HANDLERS = Path(__file__).parents[1] / "handlers"
SHA256_PREFIX = 12

JOB_BYTES = 2 << 30  # memory for exporting a model, including torch

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Pack a trained model, its handler and a spec into an archive that TorchServe serves.",
)
console = reports.console

Store = Annotated[Path, typer.Option("--store", help="Folder of finished archives.")]


@app.command("build")
def build_command(
    specs: Annotated[
        list[str], typer.Argument(metavar="NAME|SPEC.yaml …", help=f"Any of {', '.join(spec.names())}, or YAML files.")
    ],
    artifacts: Annotated[Path, typer.Option(help="Folder that contains the artifact folders.")] = Path("artifacts"),
    model_store: Store = Path("model_store"),
    check: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Load each archive and let it answer its sample.")
    ] = True,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of archives to build in parallel; by default as cores and memory allow."),
    ] = None,
) -> None:
    """Build an archive for each spec. Builds are reproducible: the same artifact and spec give the same bytes.

    Every spec is checked before the first archive is built.

    Exit status: 1 if an archive fails its verification, whose older version is then kept; 2 for a wrong spec or
    artifact.
    """
    packages: list[Package] = []
    errors: list[Exception] = []
    for given in dict.fromkeys(specs):
        try:
            packages.append(resolve(spec.find(given), artifacts))
        except ArchiverError as error:
            errors.append(error)
    exit_with(errors, 2)
    with progress() as bar, ThreadPoolExecutor(jobs or fitting(len(packages))) as pool:
        task = bar.add_task(", ".join(package.file_name for package in packages), total=len(packages))
        # In order, so that the first archive is available first.
        for made in as_completed([pool.submit(build_one, package, model_store, check) for package in packages]):
            try:
                made.result()
            except (ArchiverError, OSError) as error:
                errors.append(error)
            bar.advance(task)
    exit_with(errors, 1)


def fitting(archives: int) -> int:
    """Number of archives to build in parallel: each needs a core and JOB_BYTES of free memory."""
    by_memory = psutil.virtual_memory().available // JOB_BYTES
    return max(1, min(archives, len(os.sched_getaffinity(0)), by_memory))


def build_one(package: Package, model_store: Path, check: bool) -> None:
    seconds = 0.0

    def timed(path: Path) -> None:
        nonlocal seconds
        started = perf_counter()
        verify(path)
        seconds = perf_counter() - started

    archive = build(package, HANDLERS, model_store, timed if check else None)
    console.print(line(archive) + (f"  verified in {seconds:.1f} s" if check else "  not verified"), soft_wrap=True)


@app.command("verify")
def verify_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.mar …", help="Archives to check and run.")],
) -> None:
    """Check each archive's structure and digests, load it as a worker would, and let it answer its sample.

    Exit status 1: an archive fails. This runs the archives' code, so verify only what you would serve.
    """
    errors: list[Exception] = []
    with progress() as bar:
        task = bar.add_task("", total=len(files))
        for file in files:
            bar.update(task, description=file.name)
            try:
                result = verify(file)
                console.print(
                    f"{file.name}  loads in {result.load_s:.1f} s, answers in {result.answer_s * 1000:.0f} ms"
                )
            except (ArchiverError, OSError) as error:
                errors.append(error)
            bar.advance(task)
    exit_with(errors, 1)


@app.command("list")
def list_command(model_store: Store = Path("model_store")) -> None:
    """List the archives in the store with their contents, main metric and origin."""
    table = Table("file", "name", "version", "task", "MB", "SHA-256", "main metric", "built with", box=SIMPLE)
    entries = store.entries(model_store)
    for entry in entries:
        size, digest = f"{entry.size / 1e6:.1f}", entry.sha256[:SHA256_PREFIX]
        row = (entry.name, entry.version, entry.task, size, digest, entry.problem or entry.metric, entry.built_with)
        table.add_row(*map(plain, (entry.path.name, *row)), style="red" if entry.problem else None)
    reports.widen()
    console.print(table if entries else f"no archives in {model_store}; build one with `python -m archiver build NAME`")


def line(archive: Archive) -> str:
    runs = f"runs on {archive.backend}" + (f" ({archive.reason})" if archive.reason else "")
    return f"{archive.path.name}  {archive.size / 1e6:.1f} MB  sha256 {archive.sha256[:SHA256_PREFIX]}  {runs}"


def progress() -> Progress:
    """A progress bar below the printed lines, which disappears at the end."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def exit_with(errors: list[Exception], status: int) -> None:
    """Print each error as a block and exit with `status`; do nothing without errors."""
    for error in errors:
        typer.echo(f"archiver: {error}", err=True)
    if errors:
        raise typer.Exit(status)


app.command()(reports.inspect)
app.command()(reports.diff)
app.command()(reports.sbom)
app.command()(signing.keygen)
app.command()(signing.sign)
app.command("verify-signature")(signing.verify_signature)


if __name__ == "__main__":
    app()
