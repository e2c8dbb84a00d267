"""Commands and their options, read off the command lines themselves."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click
import typer

# Program → the module of its command line.
PROGRAMS = {
    "python -m train": "train.__main__",
    "python -m archiver": "archiver.__main__",
    "python -m deploy": "deploy.__main__",
    "./bundle deploy": "deploy.versions.command",
    "./scripts/predict": "client.__main__",
    "./scripts/docs": "documentation.__main__",
    "./scripts/chaos": "tests.chaos.__main__",
}


def commands_page() -> str:
    parts = [
        "# Commands",
        "`./bundle` is one front door to these: `./bundle --help` lists it. Each prints its own help with `--help`.",
    ]
    for program, module in PROGRAMS.items():
        command = typer.main.get_command(import_module(module).app)
        parts += sections(command, program, None)
    return "\n\n".join(parts) + "\n"


def sections(command: Any, path: str, parent: Any) -> Iterator[str]:
    """A heading, the help and a table of the parameters; then the same of each command below."""
    context = click.Context(command, info_name=path, parent=parent)
    yield f"{'##' if parent is None else '###'} `{path}`"
    if command.help:
        yield " ".join(command.help.split())
    rows = [row for parameter in command.params if (row := row_of(parameter, context)) is not None]
    if rows:
        yield "| | |\n|---|---|\n" + "\n".join(rows)
    for name, below in sorted(getattr(command, "commands", {}).items()):
        if not below.hidden:
            yield from sections(below, f"{path} {name}", context)


def row_of(parameter: Any, context: Any) -> str | None:
    """None for what help does not show."""
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return None
    record = parameter.get_help_record(context)
    name, text = record or (parameter.make_metavar(context), getattr(parameter, "help", None) or "")
    described = " ".join(str(text).split()).replace("[", "\\[").replace("|", "\\|")
    return f"| `{name.replace('|', '/')}` | {described} |"
