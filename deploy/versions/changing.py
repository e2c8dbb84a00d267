"""`./bundle deploy register|scale|set-default|unregister`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.management import LOADING
from deploy.edge.traffic import LONGEST_HOLD
from deploy.errors import DeployError
from deploy.versions import default as default_version
from deploy.versions import table
from deploy.versions.fleet import targets
from deploy.versions.options import AsJson, FleetFile, Force, Model, OverGrpc, Report, Settings, reported
from deploy.versions.registration import Registration
from deploy.versions.removal import Removal
from deploy.versions.scaling import Scaling
from deploy.versions.target import Target

Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait until the workers are ready.")]


def register(
    archive: Annotated[
        Path, typer.Argument(help="A .mar file. If the server runs on this machine, it is copied to its model store.")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, max=99, help="Number of workers; overrides the archive's.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=9999, help="Largest batch; overrides the archive's.")
    ] = None,
    max_batch_delay: Annotated[
        int | None,
        typer.Option(min=0, max=99_999, help="Milliseconds to wait for a batch to fill; overrides the archive's."),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Make this the version that answers calls without a version.")
    ] = False,
    timeout: Timeout = LOADING,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Add a model, or a new version of one, and wait until it answers its own sample.

    The first version of a model becomes its default. A version that does not answer is unregistered again. Example:
    `./bundle deploy register model_store/imagenet-2.mar`.
    """
    report = Report(json)
    with reported("register"):
        found = targets(fleet, settings, grpc)
        chosen = Registration(archive, workers, batch_size, max_batch_delay, default, timeout)
        name = chosen.on(found, report.tell)
        result(report, found, name)


def scale(
    model: Model,
    workers: Annotated[int, typer.Argument(min=1, max=99)],
    version: Annotated[str | None, typer.Option(help="Which version; by default the default version.")] = None,
    hold: Annotated[
        float,
        typer.Option(
            min=1, max=LONGEST_HOLD, help="Seconds for which the edge delays the model's calls while workers stop."
        ),
    ] = 5.0,
    timeout: Timeout = LOADING,
    force: Force = False,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Change the number of workers of a version without failing a call: `./bundle deploy scale imagenet 2`."""
    report = Report(json)
    with reported("scale"):
        found = targets(fleet, settings, grpc)
        Scaling(model, workers, version, hold, force, timeout).on(found, report.tell)
        result(report, found, model)


def default(
    model: Model,
    version: Annotated[str, typer.Argument()],
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Choose the version that answers calls without a version. If these are divided by `split`, the shares stay."""
    report = Report(json)
    with reported("set-default"):
        found = targets(fleet, settings, grpc)
        default_version.set_default(found, model, version, report.tell)
        result(report, found, model)


def unregister(
    model: Model,
    version: Annotated[str | None, typer.Argument(help="Which version; use --all instead for the whole model.")] = None,
    whole: Annotated[bool, typer.Option("--all", help="Unregister all versions of the model.")] = False,
    successor: Annotated[
        str | None, typer.Option("--default", metavar="VERSION", help="The new default version.")
    ] = None,
    force: Force = False,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Take a version out of service without failing or hanging a call: `./bundle deploy unregister imagenet 1.0`.

    The edge stops sending it new calls, the calls in progress are answered, and then its workers stop. Calls that name
    the version get 404 from the start. This can take a minute, because a call's body may take that long to arrive.
    """
    report = Report(json)
    with reported("unregister"):
        if (version is None) != whole:
            raise DeployError("wanted a version or --all")
        found = targets(fleet, settings, grpc)
        Removal(model, version, successor, force).on(found, report.tell)
        result(report, found, model)


def result(report: Report, found: list[Target], model: str) -> None:
    """Report the versions of the model after the change."""
    rows = table.rows(found, model)
    report.result([row.to_dict() for row in rows], lambda console: table.show(rows, console))
