"""`./scripts/chaos`: hostile requests, faults and a soak against a server of its own, and one table."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from client import ClientError
from deploy.configuration import PROJECT
from deploy.errors import DeployError
from tests.chaos import report
from tests.chaos.campaign import Campaign
from tests.chaos.faults import FAULTS
from tests.chaos.inputs.bodies import MODELS
from tests.chaos.neighbours import Neighbours
from tests.chaos.target import Target, build

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()
# Parts of the time that faults leave; the soak has the rest.
REST, GRPC, HTTP, STREAMS, PARSERS = 0.27, 0.27, 0.24, 0.02, 0.12
FAULTY, CLOCK, LEAST_SOAK = 240.0, 60.0, 10.0  # seconds: of all faults, as they usually take; of a clock that jumps
WIDTH = 200  # columns of the table, however narrow the terminal
DEADLINE = 40.0  # seconds: TorchServe's response timeout is 30, the edge's for a try 35


@app.command()
def chaos(
    minutes: Annotated[float, typer.Option(help="Of the whole attack; building and starting come before it.")] = 10.0,
    seed: Annotated[int | None, typer.Option(help="Of all that is generated; by default another each time.")] = None,
    edge: Annotated[
        bool, typer.Option("--edge/--no-edge", help="Attack the edge, as callers meet it, or TorchServe itself.")
    ] = True,
    model: Annotated[list[str] | None, typer.Option(help="Tiny models to serve; by default one of every task.")] = None,
    output: Annotated[Path, typer.Option(help="The table, the logs, a file for each unwanted thing.")] = Path(
        "bench/chaos"
    ),
) -> None:
    """Attack a server of this checkout's own for some minutes; the exit status is 1 if anything unwanted happened."""
    stopped = Event()

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        stopped.set()  # first, so that no caller is waited for
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    number = random.SystemRandom().randrange(10**6) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    campaign: Campaign | None = None
    code = f"commit {commit()}"
    try:
        with console.status("") as status:
            archives = build(model or MODELS, folder / "models", status.update)
            status.update("starting the server")
            with Target(folder, archives, edge, small_disk=True) as target, Neighbours(target, DEADLINE) as neighbours:
                campaign = Campaign(target, neighbours, number, DEADLINE, status.update, stopped)
                try:
                    run(campaign, 60 * minutes, folder)
                finally:
                    for logs in (*target.kept_logs, target.run / "logs"):
                        shutil.copytree(logs, output / logs.name, dirs_exist_ok=True)
    except (DeployError, ClientError) as error:
        typer.echo(f"chaos: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None
    finally:
        if campaign:
            tell(
                campaign,
                output,
                f"{minutes:g} minutes against {'the edge' if edge else 'TorchServe'}, seed {number}, {code}",
            )
        shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(0 if campaign.is_clean else 1)


def run(campaign: Campaign, seconds: float, folder: Path) -> None:
    """Every phase; the soak lasts to the end of the time, whatever the others took."""
    end = time.monotonic() + seconds
    left = seconds - min(FAULTY, seconds / 3)
    campaign.rest(REST * left)
    campaign.grpc(GRPC * left)
    campaign.http(HTTP * left)
    campaign.streams(STREAMS * left)
    campaign.parsers(folder, PARSERS * left)
    for fault in FAULTS:
        campaign.fault(fault)
    campaign.soak(max(LEAST_SOAK, end - CLOCK - time.monotonic()))
    campaign.clock(folder)


def tell(campaign: Campaign, output: Path, title: str) -> None:
    """Print the table and what was unwanted, and write both."""
    report.write(campaign.phases, output)
    console.print(title, style="bold", highlight=False)
    Console(width=max(console.width, WIDTH)).print(report.table(campaign.phases))
    for line in report.summary(campaign.phases):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"the table, and the requests that were answered wrongly, are in {output}", soft_wrap=True)


def commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    app()
