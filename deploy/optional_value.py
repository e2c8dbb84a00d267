"""Options of a command whose value may be left out: `--watch`, `--watch 5`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand


def filled(arguments: Sequence[str], defaults: Mapping[str, str]) -> list[str]:
    """The arguments, with the default added after each option of `defaults` that has no value."""
    found: list[str] = []
    for index, argument in enumerate(arguments):
        found.append(argument)
        alone = index + 1 == len(arguments) or arguments[index + 1].startswith("-")
        if argument in defaults and alone:
            found.append(defaults[argument])
    return found


def optional_value(**defaults: str) -> type[TyperCommand]:
    """A class for commands without positional arguments. defaults: option → its value if none is given."""
    by_option = {f"--{name}": value for name, value in defaults.items()}

    class WithOptionalValues(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, filled(args, by_option))

    return WithOptionalValues
