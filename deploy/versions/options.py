"""Options that the commands of `./bundle deploy` share, and how each of them ends."""

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

Model = Annotated[str, typer.Argument(help="Its name.")]
FleetFile = Annotated[
    Path | None,
    typer.Option("--fleet", metavar="FILE", help="All servers of this YAML file; docs/rollout.md has its form."),
]
Settings = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The edge's settings, where they are not the checkout's.")
]
OverGrpc = Annotated[bool, typer.Option("--grpc", help="Manage over gRPC instead of REST.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON; messages go to standard error.")]
Force = Annotated[bool, typer.Option("--force", help="Also where no edge keeps calls away; some may fail or hang.")]


class Report:
    """Messages for people, each on a line, and the result as JSON where that was asked for."""

    def __init__(self, json: bool) -> None:
        self.json = json
        self.console = Console(highlight=False, stderr=json, soft_wrap=True)
        self.last = ""

    def tell(self, line: str) -> None:
        """The same line is not said twice in a row."""
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
    """Errors as one line and an exit status: 1, 3 where no server answers, 130 after Ctrl-C."""
    try:
        yield
    except (DeployError, ClientError, OSError, ValueError) as error:
        sys.stdout.flush()
        typer.echo(f"{command}: {error}", err=True)
        raise typer.Exit(NO_SERVER if isinstance(error, Unreachable) else FAILED) from None
    except KeyboardInterrupt:
        typer.echo(f"{command}: stopped", err=True)
        raise typer.Exit(INTERRUPTED) from None
