"""`./bundle deploy status|logs`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.configuration import run_folder
from deploy.versions import table
from deploy.versions.fleet import targets
from deploy.versions.logs import EDGE, WORKERS, following, last, of_edge, of_workers
from deploy.versions.options import AsJson, FleetFile, Model, OverGrpc, Report, Settings, reported


def status(
    model: Annotated[str | None, typer.Argument(help="All models if none is named.")] = None,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Show the versions of models: their share of the calls, workers, queue, archive."""
    report = Report(json)
    with reported("status"):
        rows = table.rows(targets(fleet, settings, grpc), model)
        report.result([row.to_dict() for row in rows], lambda console: table.show(rows, console))


def logs(
    model: Model,
    version: Annotated[str | None, typer.Option(help="Of this version alone.")] = None,
    edge: Annotated[bool, typer.Option("--edge", help="The calls, as the edge has logged them.")] = False,
    number: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of those that are there.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and show what comes; Ctrl-C ends it.")] = False,
) -> None:
    """Show what the workers of a model have logged on this machine."""
    with reported("logs"):
        log = run_folder() / "logs" / (EDGE if edge else WORKERS)
        wanted = (of_edge if edge else of_workers)(model, version)
        for line in last(log, wanted, number):
            print(line, flush=True)
        try:
            for line in following(log, wanted) if follow else ():
                print(line, flush=True)
        except KeyboardInterrupt:
            return
