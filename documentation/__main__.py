"""`./scripts/docs`: build the documentation as a site, or serve it and rebuild what changes."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from documentation.source import PROJECT, index_for_models, write

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
SITE = PROJECT / ".site" / "html"


@app.command()
def main(
    build: Annotated[bool, typer.Option("--build", help="Build .site/html, to be opened as files, and end.")] = False,
    port: Annotated[int, typer.Option(help="Of the address that the site is served at.")] = 8000,
) -> None:
    """Serve the documentation on this machine; a warning ends a build."""
    write()
    (PROJECT / "llms.txt").write_text(index_for_models(), encoding="utf-8")
    zensical = [sys.executable, "-m", "zensical"]
    if build:
        status = subprocess.run([*zensical, "build", "--clean", "--strict"], cwd=PROJECT, check=False).returncode
        if status == 0:
            typer.echo(f"{SITE / 'index.html'}")
    else:
        status = subprocess.run([*zensical, "serve", "-a", f"localhost:{port}"], cwd=PROJECT, check=False).returncode
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
