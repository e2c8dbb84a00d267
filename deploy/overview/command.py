"""`python -m deploy status`."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from deploy.configuration import run_folder
from deploy.errors import DeployError
from deploy.optional_value import optional_value
from deploy.overview.look import Look, look
from deploy.overview.rates import Interval
from deploy.overview.table import overview

FAILED, NO_SERVER = 1, 3  # as `predict` has them
ONCE = 2.0  # seconds between the two looks of a single report: workers report once a second
EVERY = "2"
UNWRAPPED = 160  # columns, where the output is a file or a pipe

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
OPTIONS = optional_value(watch=EVERY)


@app.command(cls=OPTIONS)
def status(
    watch: Annotated[
        float | None,
        typer.Option(
            min=0.5, metavar="[SECONDS]", help=f"Stay, and look again every {EVERY} or SECONDS; Ctrl-C ends it."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One look as JSON.")] = False,
) -> None:
    """Show the running server: models, versions, workers, queues, request rates, memory.

    Exit status: 0, 1 where the server does not answer, 3 where none is running.
    """
    if json and watch:
        raise typer.BadParameter("one of --json and --watch")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    try:
        intervals = looks(run_folder(), watch or ONCE)
        if watch:
            show(console, intervals)
        interval = next(intervals)
        if json:
            print(json_format.dumps(interval.to_dict(), indent=2))
        else:
            console.print(overview(interval))
    except DeployError as error:
        typer.echo(f"status: {error}", err=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(0 if watch else 130) from None


def looks(run: Path, seconds: float) -> Iterator[Interval]:
    """Pairs of looks, for ever. typer.Exit where no server runs, or it has ended meanwhile."""
    before = found(run)
    while True:
        time.sleep(seconds)
        after = found(run)
        yield Interval(before, after)
        before = after


def found(run: Path) -> Look:
    seen = look(run)
    if seen is None:
        typer.echo("no server is running; `./bundle serve` starts one", err=True)
        raise typer.Exit(NO_SERVER)
    return seen


def show(console: Console, intervals: Iterator[Interval]) -> None:
    """One table that changes in place on a terminal; elsewhere one after another."""
    if not console.is_terminal:
        for interval in intervals:
            console.print(overview(interval))
    with Live(console=console, auto_refresh=False) as live:
        for interval in intervals:
            live.update(overview(interval), refresh=True)
