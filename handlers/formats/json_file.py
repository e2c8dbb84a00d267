"""JSON of unknown origin: bounded in size and depth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from handlers.formats.errors import UnsafeFile

MAX_DEPTH = 64
MAX_VALUES = 8_000_000  # a few hundred MB; tokenizers with large vocabularies have a quarter as many


def loads(content: bytes, name: str, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text in UTF-8; UnsafeFile if it is not JSON, is nested too deeply or holds NaN."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise UnsafeFile(f"{name} holds more than {MAX_VALUES} values")
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise UnsafeFile(f"{name} is nested more than {max_depth} deep") from None
    except ValueError as error:
        raise UnsafeFile(f"{name} is not JSON: {error}") from None
    if depth(value) > max_depth:
        raise UnsafeFile(f"{name} is nested more than {max_depth} deep")
    return value


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def depth(value: Any) -> int:
    """The number of lists and objects around the innermost value of a JSON or YAML document."""
    level, current = 0, [value]
    while current := [inner for outer in current for inner in children(outer)]:
        level += 1
        current = [inner for inner in current if isinstance(inner, (dict, list))]
    return level


def children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value) of every object inside a JSON value, at any depth."""
    todo = [value]
    while todo:
        current = todo.pop()
        if isinstance(current, dict):
            yield from current.items()
        todo += children(current)
