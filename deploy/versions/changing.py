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

Timeout = Annotated[float, typer.Option(min=1, help="Seconds until workers have to be ready.")]


def register(
    archive: Annotated[
        Path, typer.Argument(help="A .mar file; it is copied to the store of a server on this machine.")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, max=99, help="Instead of as many as the archive asks for.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=9999, help="Instead of the archive's.")] = None,
    max_batch_delay: Annotated[
        int | None, typer.Option(min=0, max=99_999, help="Milliseconds, instead of the archive's.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="It answers calls that name no version.")] = False,
    timeout: Timeout = LOADING,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Add a model, or a version of one that is there, and wait until it answers its own sample.

    The first version of a model becomes its default. Where it does not answer, it is taken out again:
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
    version: Annotated[str | None, typer.Option(help="The default version if none is named.")] = None,
    hold: Annotated[
        float,
        typer.Option(
            min=1, max=LONGEST_HOLD, help="Seconds by which the edge delays the model's calls while workers end."
        ),
    ] = 5.0,
    timeout: Timeout = LOADING,
    force: Force = False,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Change the number of workers of a version, without a call that fails: `./bundle deploy scale imagenet 2`."""
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
    """Choose the version that answers calls which name none; where these are divided, the shares stay."""
    report = Report(json)
    with reported("set-default"):
        found = targets(fleet, settings, grpc)
        default_version.set_default(found, model, version, report.tell)
        result(report, found, model)


def unregister(
    model: Model,
    version: Annotated[str | None, typer.Argument(help="The whole model with --all instead.")] = None,
    whole: Annotated[bool, typer.Option("--all", help="All versions, and so the model.")] = False,
    successor: Annotated[
        str | None, typer.Option("--default", metavar="VERSION", help="The default version from then on.")
    ] = None,
    force: Force = False,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Take a version out of service, without a call that fails or hangs: `./bundle deploy unregister imagenet 1.0`.

    The edge sends no new calls to it, those under way are answered, and then its workers end. Calls that name it get
    404 from the beginning. It can take a minute: for so long the body of a call may be on its way.
    """
    report = Report(json)
    with reported("unregister"):
        if (version is None) != whole:
            raise DeployError("wanted a version, or --all")
        found = targets(fleet, settings, grpc)
        Removal(model, version, successor, force).on(found, report.tell)
        result(report, found, model)


def result(report: Report, found: list[Target], model: str) -> None:
    """The versions of the model after the change."""
    rows = table.rows(found, model)
    report.result([row.to_dict() for row in rows], lambda console: table.show(rows, console))
