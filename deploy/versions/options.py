"""Options, output and exit status that the commands of `./bundle deploy` share."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from client import ClientError, Unreachable
from deploy.errors import DeployError

FAILED, NO_SERVER, INTERRUPTED = 1, 3, 130
UNWRAPPED = 160  # columns if the output is a file or a pipe

Model = Annotated[str, typer.Argument(help="The model's name.")]
FleetFile = Annotated[
    Path | None,
    typer.Option("--fleet", metavar="FILE", help="Act on all servers in this YAML file; docs/rollout.md describes it."),
]
Settings = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Folder of the edge's settings; by default the checkout's.")
]
OverGrpc = Annotated[bool, typer.Option("--grpc", help="Manage over gRPC instead of REST.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON; messages go to standard error.")]
Force = Annotated[
    bool, typer.Option("--force", help="Proceed even without an edge that holds back calls; some may fail or hang.")
]


class Report:
    """Prints messages for people, one per line, and the result as a table or as JSON."""

    def __init__(self, json: bool) -> None:
        self.json = json
        self.console = Console(highlight=False, stderr=json, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = UNWRAPPED
        self.last = ""

    def tell(self, line: str) -> None:
        """Print a line unless it repeats the previous one."""
        if line != self.last:
            self.console.print(line, markup=False)
        self.last = line

    def result(self, value: Any, show: Callable[[Console], None]) -> None:
        if self.json:
            print(json_format.dumps(value, indent=2))
        else:
            show(self.console)


@contextmanager
def reported(command: str) -> Iterator[None]:
    """Turn errors into one line and an exit status: 1, 3 if no server answers, 130 after Ctrl-C."""
    try:
        yield
    except (DeployError, ClientError, OSError, ValueError) as error:
        sys.stdout.flush()
        typer.echo(f"{command}: {error}", err=True)
        raise typer.Exit(NO_SERVER if isinstance(error, Unreachable) else FAILED) from None
    except KeyboardInterrupt:
        typer.echo(f"{command}: stopped", err=True)
        raise typer.Exit(INTERRUPTED) from None
