"""Options of a command that may stand alone or with a value: `--watch`, `--watch 5`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand


def filled(arguments: Sequence[str], defaults: Mapping[str, str]) -> list[str]:
    """The arguments with a value after each option of `defaults` that stands alone."""
    found: list[str] = []
    for index, argument in enumerate(arguments):
        found.append(argument)
        alone = index + 1 == len(arguments) or arguments[index + 1].startswith("-")
        if argument in defaults and alone:
            found.append(defaults[argument])
    return found


def optional_value(**defaults: str) -> type[TyperCommand]:
    """A class for commands without arguments of their own. defaults: option → its value where it stands alone."""
    by_option = {f"--{name}": value for name, value in defaults.items()}

    class WithOptionalValues(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, filled(args, by_option))

    return WithOptionalValues
