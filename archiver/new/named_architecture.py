"""Reads `--architecture`: a network's name, and arguments for it as Python writes them."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver.new.findings import refused


@dataclass(frozen=True)
class NamedArchitecture:
    """name: of torchvision's, timm/NAME, or dotted. arguments: for its builder, besides what the weights tell."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.name}({listed})" if listed else self.name


def parse(path: Path, given: str) -> NamedArchitecture:
    """path: of the weights, for the error. Raises SpecError for anything but NAME or NAME(argument=value, …)."""
    name, opened, rest = given.partition("(")
    if not opened:
        return NamedArchitecture(given)
    try:
        call: Any = ast.parse(f"named({rest}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError("not one call with names")
        # As JSON, because the spec is one.
        arguments = json.loads(json.dumps({each.arg: ast.literal_eval(each.value) for each in call.keywords}))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise refused(path, f"--architecture {given}: wanted NAME(argument=value, …) with plain values") from None
    if "null" in arguments:  # of `**{…}`, which has no name
        raise refused(path, f"--architecture {given}: wanted a name for each argument")
    return NamedArchitecture(name, arguments)
