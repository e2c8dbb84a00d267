"""`./bundle deploy split`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.edge import settings_file, traffic
from deploy.edge.traffic import Split, Traffic
from deploy.errors import DeployError
from deploy.versions.fleet import targets
from deploy.versions.options import AsJson, FleetFile, OverGrpc, Report, Settings, reported
from deploy.versions.target import Target, edges
from deploy.versions.undoing import Tell, all_or_nothing


def split(
    model: Annotated[str | None, typer.Argument(help="The model; by default show all whose calls are divided.")] = None,
    shares: Annotated[
        list[str] | None, typer.Argument(metavar="VERSION=PERCENT", help="Shares, the current version first.")
    ] = None,
    sticky: Annotated[
        str | None,
        typer.Option(
            metavar="HEADER", help="Keep each caller on one version by the value of this header; x-client: by its key."
        ),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="Stop dividing; the default version answers again.")] = False,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Divide a model's calls that name no version, over REST and gRPC, or show how they are divided.

    The change applies within a second and closes no connection. Example: `./bundle deploy split imagenet 1.0=90
    2.0=10`.
    """
    report = Report(json)
    with reported("split"):
        if end and (shares or model is None):
            raise DeployError("--end needs a model and takes no shares")
        found = targets(fleet, settings, grpc)
        if end or shares:
            wanted = {"versions": percentages(shares or []), "sticky": sticky}
            divide(found, str(model), None if end else settings_file.checked(Split, wanted, str(model)), report.tell)
        states = {target.name: traffic.read(target.traffic) for target in edges(found)}
        values = {name: now.model_dump(mode="json", exclude_none=True)["models"] for name, now in states.items()}
        report.result(values, lambda console: show(states, model, console))


def divide(found: list[Target], model: str, wanted: Split | None, tell: Tell) -> None:
    """Divide on all edges or on none. wanted: None to stop dividing."""
    for target in found:
        before = traffic.read(target.traffic).models.get(model)
        if wanted is None and before is None:
            raise DeployError(f"{target.name}: the calls of {model} are not divided")
        if wanted is not None:
            check_served(target, model, list(wanted.versions))
    with all_or_nothing(tell) as undoing:
        for target in edges(found):
            before = traffic.read(target.traffic).models.get(model)
            undoing.add(
                f"{target.name}: shares of {model}",
                partial(put, target, model, before),
            )
            put(target, model, wanted)


def put(target: Target, model: str, wanted: Split | None) -> None:
    traffic.change(target.traffic, lambda now: now.divided(model, wanted))


def percentages(shares: Sequence[str]) -> dict[str, str]:
    """Parse VERSION=PERCENT into percentages by version, which `Split` checks."""
    found: dict[str, str] = {}
    for share in shares:
        version, equals, percent = share.partition("=")
        if not equals:
            raise DeployError(f"{share}: wanted VERSION=PERCENT, as in 2.0=10")
        if version in found:
            raise DeployError(f"version {version} has two shares")
        found[version] = percent
    return found


def check_served(target: Target, model: str, versions: Sequence[str]) -> None:
    """Raise DeployError if a version is not ready, because its share of the calls would fail."""
    with target.management() as management:
        ready = [each.version for each in management.versions(model) if each.ready]
    missing = [version for version in versions if version not in ready]
    if missing:
        raise DeployError(
            f"{target.name}: {model} has no ready version {', '.join(missing)}; ready: {', '.join(ready)}"
        )


def show(states: dict[str, Traffic], model: str | None, console: Console) -> None:
    table = Table(*(["edge"] if len(states) > 1 else []), "model", "version", "share", "by", box=None, pad_edge=False)
    for edge, now in states.items():
        for name, each in now.models.items():
            if model not in (None, name):
                continue
            for version, share in each.versions.items():
                cells = [name, version, f"{share:g} %", each.sticky or "chance"]
                table.add_row(*([edge] if len(states) > 1 else []), *cells)
    console.print(
        table
        if table.row_count
        else f"{model or 'no model'}: the server's default version answers calls that name none"
    )
