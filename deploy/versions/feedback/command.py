"""`./bundle deploy feedback|compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.configuration import run_folder
from deploy.errors import DeployError
from deploy.versions.feedback.comparison import Comparison
from deploy.versions.feedback.comparison import compare as compared
from deploy.versions.feedback.outcomes import Outcome, OutcomeFile, logged, value_of
from deploy.versions.feedback.outcomes import reported as reported_lines
from deploy.versions.fleet import targets
from deploy.versions.options import AsJson, FleetFile, Model, Report, Settings, reported
from deploy.versions.target import edges


def feedback(
    model: Model,
    request_id: Annotated[
        str | None, typer.Argument(help="The answer's x-request-id; leave it out with --from.")
    ] = None,
    outcome: Annotated[str | None, typer.Argument(help="success, failure, or a number from 0 to 1.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help='JSON lines with "request_id" and "outcome"; - for standard input.'
        ),
    ] = None,
    fleet: FleetFile = None,
    settings: Settings = None,
    json: AsJson = False,
) -> None:
    """Report the outcomes of calls, by request id, while a model's calls are divided between versions.

    The edge's log shows which version answered. A call counts once; calls that named a version do not count.
    """
    report = Report(json)
    with reported("feedback"):
        if (request_id is None) == (source is None) or (request_id is not None and outcome is None):
            raise DeployError("wanted a request id with its outcome, or --from FILE")
        if source is None:
            values = {str(request_id): value_of(outcome)}
        elif str(source) == "-":
            values = dict(reported_lines(sys.stdin))
        else:
            with source.open(encoding="utf-8") as file:
                values = dict(reported_lines(file))
        logs = [target.log for target in edges(targets(fleet, settings, grpc=False)) if target.log]
        calls = logged(logs, model, set(values))
        outcomes = [Outcome(id, call.version, call.shares, values[id]) for id, call in calls.items()]
        counts = {
            "added": OutcomeFile(run_folder(), model).add(outcomes),
            "known": len(outcomes),
            "unknown": len(values) - len(outcomes),
        }
        counts["known"] -= counts["added"]
        text = "{added} added, {known} already reported, {unknown} not in the log or with a named version"
        report.result(counts, lambda console: console.print(text.format(**counts)))
        if not outcomes:
            raise DeployError(f"the edge's log has no call of {model} with this id, or the call named its version")


def compare(
    model: Model,
    first: Annotated[str, typer.Argument(help="The first version.")],
    second: Annotated[str, typer.Argument(help="The second version.")],
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Significance level: the chance of a wrong result.")
    ] = 0.05,
    json: AsJson = False,
) -> None:
    """Show which version has the better outcomes in `feedback`, how certain that is, and whether to stop.

    You can run it as often as you like: --alpha bounds the chance of an error over all runs together.
    """
    report = Report(json)
    with reported("compare"):
        found = compared(OutcomeFile(run_folder(), model).read(), first, second, alpha)
        if not found.first.outcomes or not found.second.outcomes:
            numbers = (f"{each.outcomes} of {each.name}" for each in (found.first, found.second))
            raise DeployError(f"{model} has too few outcomes: {' and '.join(numbers)}")
        report.result(found.to_json(), lambda console: show(found, console))


def show(found: Comparison, console: Console) -> None:
    table = Table("version", "outcomes", "mean", "at least", "at most", box=None, pad_edge=False)
    for each in (found.first, found.second):
        table.add_row(each.name, str(each.outcomes), *(f"{value:.3f}" for value in (each.mean, each.low, each.high)))
    console.print(table)
    low, high = found.difference
    if found.better:
        console.print(f"{found.better} is better (p = {found.p:.2g}, at any time); stop")
    else:
        more = f"about {found.further} more outcomes if the difference stays" if found.further else "no estimate yet"
        console.print(f"undecided (p = {found.p:.2g}); continue: {more}")
    console.print(
        f"the mean of {found.second.name} minus the mean of {found.first.name} is between {low:+.3f} and {high:+.3f}"
    )
