"""`./bundle deploy status|logs`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from deploy.configuration import run_folder
from deploy.versions import drift, table
from deploy.versions.deaths import Deaths
from deploy.versions.fleet import targets
from deploy.versions.logs import EDGE, WORKERS, following, last, of_edge, of_workers
from deploy.versions.options import AsJson, FleetFile, Model, OverGrpc, Report, Settings, reported


def status(
    model: Annotated[str | None, typer.Argument(help="The model; all models by default.")] = None,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Show each version's share of calls, workers, queue and archive; on this machine also drift and worker deaths."""
    report = Report(json)
    with reported("status"):
        found = targets(fleet, settings, grpc)
        rows = table.rows(found, model)
        deaths = Deaths.read(next((target.run for target in found), None), model)

        shifted = drift.found(found, rows)

        def show(console: Console) -> None:
            table.show(rows, console)
            drift.show(shifted, console)
            deaths.show(console)

        values = [
            {
                **row.to_dict(),
                **deaths.of(row.model, row.version),
                "drift": shifted.get((row.model, row.version), {}),
            }
            for row in rows
        ]
        report.result(values, show)


def logs(
    model: Model,
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    edge: Annotated[bool, typer.Option("--edge", help="Show the calls that the edge has logged instead.")] = False,
    number: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many existing lines to show.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing new lines until Ctrl-C.")] = False,
) -> None:
    """Show the log of a model's workers on this machine."""
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
