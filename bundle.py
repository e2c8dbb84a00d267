"""The front door, `python -m bundle` or ./bundle: hands over to the commands of the modules behind it.

A command's module is imported only when the command is called; the list of commands takes its help texts from the
sources. That keeps the list fast, and available before anything is installed. Until then, the doctor works too, and
every other command says what to run first.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent
PROGRAM = "bundle"
SUMMARY = "From a trained PyTorch model to an API: train, build, serve, call, watch."
NOT_SET_UP = 3


@dataclass(frozen=True)
class Entry:
    """One command: the `app` of a module, or the command of that name in the app.

    documented: the function whose docstring is the help text, as FILE:NAME. setup: the group of ./scripts/setup that
    the command needs.
    """

    name: str
    module: str
    documented: str
    setup: str = "serve"

    @cached_property
    def docstring(self) -> str:
        """The help text of the command, read without importing it."""
        file, _, name = self.documented.partition(":")
        for node in ast.parse((PROJECT / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return inspect.cleandoc(ast.get_docstring(node) or "")
        raise LookupError(f"{file} has no function {name}, whose docstring is the help of `{PROGRAM} {self.name}`")

    @property
    def summary(self) -> str:
        """The first sentence of its help."""
        paragraph = " ".join(self.docstring.partition("\n\n")[0].split())
        return re.split(r"(?<=\.) ", paragraph, maxsplit=1)[0]

    def command(self) -> Any:
        """The command itself."""
        import typer.main

        found = typer.main.get_command(import_module(self.module).app)
        return getattr(found, "commands", {}).get(self.name, found)


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry("serve", "deploy.__main__", "deploy/serving/command.py:serve"),
        Entry("stop", "deploy.__main__", "deploy/__main__.py:stop_command"),
        Entry("status", "deploy.overview.command", "deploy/overview/command.py:status"),
        Entry("deploy", "deploy.versions.command", "deploy/versions/command.py:deploy"),
        Entry("keys", "deploy.__main__", "deploy/__main__.py:keys_command"),
        Entry("predict", "client.__main__", "client/__main__.py:predict"),
        Entry("train", "train.__main__", "train/__main__.py:run", "train"),
        Entry("new", "archiver.new.command", "archiver/new/command.py:new"),
        Entry("build", "archiver.__main__", "archiver/__main__.py:build_command"),
        Entry("verify", "archiver.__main__", "archiver/__main__.py:verify_command"),
        Entry("inspect", "archiver.__main__", "archiver/reports/command.py:inspect"),
        Entry("diff", "archiver.__main__", "archiver/reports/command.py:diff"),
        Entry("sbom", "archiver.__main__", "archiver/reports/command.py:sbom"),
        Entry("keygen", "archiver.__main__", "archiver/signing.py:keygen"),
        Entry("sign", "archiver.__main__", "archiver/signing.py:sign"),
        Entry("verify-signature", "archiver.__main__", "archiver/signing.py:verify_signature"),
        Entry("tune", "deploy.__main__", "deploy/tuning/command.py:tune", "train"),
        Entry("bench", "benchmarks.__main__", "benchmarks/__main__.py:bench", "bench"),
        Entry("doctor", "deploy.doctor.command", "deploy/doctor/command.py:doctor"),
    )
}


def folders() -> dict[str, dict[str, Any]]:
    """Absolute defaults for the folders of the checkout: the commands' own are relative to the current folder."""
    if Path.cwd() == PROJECT:
        return {}
    artifacts, runs = str(PROJECT / "artifacts"), str(PROJECT / "runs")
    stages = ("run", "fit", "resume", "test", "export")
    return {
        "train": {stage: {"output": artifacts, "runs": runs} for stage in stages},
        "new": {"artifacts": artifacts, "model_store": str(PROJECT / "model_store")},
        "build": {"artifacts": artifacts, "model_store": str(PROJECT / "model_store")},
        "bench": {"output": str(PROJECT / "bench")},
    }


def front_door() -> Any:
    """The group of all commands. Typer is imported here, because before ./scripts/setup there is none."""
    import typer
    from typer.core import TyperCommand, TyperGroup

    complete_by_path()

    class Commands(TyperGroup):
        """Lists stand-ins, which hold only the help, and loads a command when it is called."""

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, listed, rest = super().resolve_command(ctx, args)
            return (name, ENTRIES[name].command(), rest) if name in ENTRIES else (name, listed, rest)

    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help=SUMMARY,
        context_settings={"default_map": folders(), "help_option_names": ["--help", "-h"]},
    )
    app.callback()(lambda: None)
    group: Any = typer.main.get_command(app)
    for entry in ENTRIES.values():
        group.commands[entry.name] = TyperCommand(entry.name, help=entry.summary)
    return group


def complete_by_path() -> None:
    """Let the scripts for shell completion call this checkout's ./bundle by its path.

    Typer's scripts call `bundle`, which is rarely on the PATH, or is Ruby's Bundler, which would install packages.
    """
    from typer import _completion_shared

    path = shlex.quote(str(PROJECT / PROGRAM)).replace("%", "%%")
    scripts = _completion_shared._completion_scripts
    for shell, text in scripts.items():
        by_name = {"bash": "complete_bash $1", "zsh": "complete_zsh %(prog_name)s"}.get(
            shell, "(commandline -cp) %(prog_name)s"
        )
        scripts[shell] = text.replace(by_name, f"{by_name.rpartition(' ')[0]} {path}")


def without_typer(arguments: Sequence[str]) -> int:
    """Help that works before ./scripts/setup: the list of commands, the doctor, and a short help for each command."""
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if name == "doctor":
        from deploy.doctor.__main__ import main as doctor

        return doctor(rest, f"{PROGRAM} doctor")
    if name in ("", "--help", "-h"):
        print(f"Usage: {PROGRAM} COMMAND [ARGUMENT]…\n\n{SUMMARY}\n")
        for entry in ENTRIES.values():
            print(f"  {entry.name:<16}  {entry.summary}")
        print(f"\nNot set up yet: `./{PROGRAM} serve` does that first; `./{PROGRAM} doctor` checks this machine.")
        return 0
    if name not in ENTRIES:
        print(f"{PROGRAM}: no command {name!r}; there are {', '.join(ENTRIES)}", file=sys.stderr)
        return 2
    setup = f"./scripts/setup {ENTRIES[name].setup}"
    if "--help" in rest:
        print(f"{ENTRIES[name].docstring}\n\n`{setup}` installs what it needs; then --help lists its options.")
        return 0
    print(f"{PROGRAM}: `{name}` needs packages that are not installed; `{setup}` installs them", file=sys.stderr)
    return NOT_SET_UP


def main() -> None:
    if find_spec("typer") is None:
        sys.exit(without_typer(sys.argv[1:]))
    front_door()(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
