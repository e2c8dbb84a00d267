"""`./bundle deploy`: the versions of a running server's models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from client import ClientError, RestManagement, Server
from deploy.configuration import PROJECT, run_folder
from deploy.edge import settings_file, traffic
from deploy.edge.traffic import Split, Traffic
from deploy.errors import DeployError
from deploy.run_folder import state_of

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(highlight=False)
SETTINGS = Annotated[Path, typer.Option(help="The folder of the edge's settings.")]
FOLDER = PROJECT / "secrets"


@app.callback()
def deploy() -> None:
    """Operate the versions of the running server's models."""


@app.command("split")
def split_command(
    model: Annotated[str | None, typer.Argument(help="All models whose calls are divided if none is named.")] = None,
    shares: Annotated[
        list[str] | None, typer.Argument(metavar="VERSION=PERCENT", help="The present version first.")
    ] = None,
    sticky: Annotated[
        str | None,
        typer.Option(
            metavar="HEADER", help="A caller stays with one version, by the value of this header; x-client: by its key."
        ),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="The server's default version answers again.")] = False,
    settings: SETTINGS = FOLDER,
) -> None:
    """Divide the calls of a model that name no version, over REST and gRPC, or show how they are divided.

    It counts within a second, and no connection ends: `./bundle deploy split imagenet 1.0=90 2.0=10`.
    """
    try:
        path = settings / traffic.NAME
        now = traffic.read(path)
        if end and (shares or model is None):
            raise DeployError("--end takes a model and no shares")
        if end:
            if model not in now.models:
                raise DeployError(f"the calls of {model} are not divided")
            rest = {name: each for name, each in now.models.items() if name != model}
            traffic.write(path, Traffic(models=rest))
        elif shares:
            split = settings_file.checked(Split, {"versions": percentages(shares), "sticky": sticky}, str(model))
            check_served(str(model), list(split.versions))
            traffic.write(path, Traffic(models={**now.models, str(model): split}))
        show(traffic.read(path), model)
    except (DeployError, ClientError) as error:
        typer.echo(f"split: {error}", err=True)
        raise typer.Exit(1) from None


def percentages(shares: Sequence[str]) -> dict[str, str]:
    """Of VERSION=PERCENT; the numbers are checked with the rest."""
    found: dict[str, str] = {}
    for share in shares:
        version, equals, percent = share.partition("=")
        if not equals:
            raise DeployError(f"{share}: wanted VERSION=PERCENT, as in 2.0=10")
        if version in found:
            raise DeployError(f"version {version} has two shares")
        found[version] = percent
    return found


def check_served(model: str, versions: Sequence[str]) -> None:
    """DeployError where nothing divides calls, or a version is not ready: its share of them would fail."""
    state = state_of(run_folder())
    if state and "edge" not in state:
        raise DeployError("it is the edge that divides calls, and the running server has none: ./scripts/serve --edge")
    with RestManagement(Server.find()) as management:
        ready = [each.version for each in management.versions(model) if each.ready]
    missing = [version for version in versions if version not in ready]
    if missing:
        raise DeployError(f"{model} has no version {', '.join(missing)} that is ready; there are {', '.join(ready)}")


def show(now: Traffic, model: str | None) -> None:
    chosen = {name: split for name, split in now.models.items() if model in (None, name)}
    if not chosen:
        console.print(f"{model or 'no model'}: the server's default version answers calls that name none")
        return
    table = Table("model", "version", "share", "by", box=None, pad_edge=False)
    for name, split in chosen.items():
        for version, share in split.versions.items():
            table.add_row(name, version, f"{share:g} %", split.sticky or "chance")
            name = ""
    console.print(table)


if __name__ == "__main__":
    app()
