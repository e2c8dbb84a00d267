"""`python -m deploy doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.doctor.__main__ import BUNDLE_HELP, JSON_HELP, diagnose
from deploy.doctor.bug_report import default_name
from deploy.optional_value import optional_value

NAMED_BY_TIME = "bundle-report-TIME.tar.gz"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
OPTIONS = optional_value(bundle=NAMED_BY_TIME)


@app.command(cls=OPTIONS)
def doctor(
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    bundle: Annotated[
        Path | None, typer.Option(metavar="[FILE.tar.gz]", help=f"{BUNDLE_HELP} Alone: {NAMED_BY_TIME}.")
    ] = None,
) -> None:
    """Check what this machine can do: hardware, installation, archives, ports, secrets.

    Exit status: 0 without a problem (✗), 1 with one. A remark (!) does not count.
    """
    archive = default_name() if bundle == Path(NAMED_BY_TIME) else bundle
    raise typer.Exit(diagnose(json, archive))
