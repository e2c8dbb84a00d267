"""`./bundle deploy quarantine list|clear`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.configuration import run_folder
from deploy.errors import DeployError
from deploy.run_folder import DEATHS
from deploy.versions.options import AsJson, Report, reported
from zygote import quarantine
from zygote.quarantine import Entry

SHORTEST = 8  # leading characters of a digest that suffice to name an input

app = typer.Typer(no_args_is_help=True)

Model = Annotated[str | None, typer.Argument(help="The model; all models by default.")]
Version = Annotated[str | None, typer.Option(help="Only this version.")]


@app.callback()
def quarantining() -> None:
    """Manage inputs that are refused with 422 because they have killed two workers of a model on this machine."""


@app.command("list")
def list_command(model: Model = None, version: Version = None, json: AsJson = False) -> None:
    """Show which inputs are refused and until when."""
    report = Report(json)
    with reported("quarantine"):
        found = [
            entry for entry in quarantine.entries(folder()) if entry.refused and matches(entry, model, version, None)
        ]
        report.result([entry._asdict() for entry in found], lambda console: show(found, console))


@app.command()
def clear(
    model: Model = None,
    version: Version = None,
    input: Annotated[
        str | None, typer.Option(metavar="SHA256", help=f"Only this input; its first {SHORTEST} characters suffice.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Remove inputs from the list; workers accept them again from the next request on."""
    report = Report(json)
    with reported("quarantine"):
        if input is not None and len(input) < SHORTEST:
            raise DeployError(f"--input {input}: wanted at least {SHORTEST} characters of the SHA-256")
        cleared = [
            entry
            for entry in quarantine.clear(folder(), lambda entry: matches(entry, model, version, input))
            if entry.refused
        ]
        if input is not None and not cleared:
            raise DeployError(f"no input whose SHA-256 begins with {input} is refused")
        report.result([entry._asdict() for entry in cleared], lambda console: console.print(f"{len(cleared)} cleared"))


def folder() -> str:
    """The folder of this machine's server. Raises DeployError if none is running."""
    found = run_folder() / DEATHS
    if not found.is_dir():
        raise DeployError("no server is running on this machine; start one with ./bundle serve")
    return str(found)


def matches(entry: Entry, model: str | None, version: str | None, digest: str | None) -> bool:
    return (
        model in (None, entry.model)
        and version in (None, entry.version)
        and (digest is None or entry.sha256.startswith(digest.lower()))
    )


def show(found: list[Entry], console: Console) -> None:
    table = Table("model", "version", "workers", "last verdict", "refused until", "bytes", "SHA-256", box=None)
    table.pad_edge = False
    for entry in found:
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.until))
        cells = (entry.model, entry.version, str(entry.deaths), entry.verdict, until, str(entry.bytes), entry.sha256)
        table.add_row(*cells)
    table.columns[-1].overflow = "fold"  # a truncated digest would be useless
    console.print(table if found else "no input is refused")
