"""Converts values from an archive's files to values that JSON can represent, and flattens them to key paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def as_json(value: Any) -> Any:
    """The value with strings for what JSON cannot represent: a YAML file's dates, and numbers such as NaN."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)


def dump(value: Any) -> str:
    """Indented JSON, in ASCII, so that no character of an archive can control the terminal."""
    return json.dumps(value, indent=2, allow_nan=False)


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(key path, value) of every leaf, such as `batch.size` or `labels[3]`. Empty mappings and lists are leaves too."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from flat(inner, f"{path}[{index}]")
    else:
        yield path, value
