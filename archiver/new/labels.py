"""Reads a model's class names from a file."""

from __future__ import annotations

from pathlib import Path

from archiver.errors import Problem, SpecError
from archiver.reading import read_json, read_text
from handlers.formats.errors import UnsafeFile


def read(path: Path) -> list[str]:
    """Read one name per line, a JSON list, or transformers' {"0": "name", …}. Raises SpecError for anything else."""
    try:
        names = read_json(path) if path.suffix == ".json" else read_text(path).splitlines()
    except UnsafeFile as error:
        raise SpecError(str(path), [Problem("the labels", str(error))]) from None
    if isinstance(names, dict) and names and all(str(key).isdecimal() for key in names):
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise SpecError(str(path), [Problem("the labels", "wanted a name on each line, or a JSON list of strings")])
    return names


def placeholders(count: int) -> list[str]:
    return [f"class {index}" for index in range(count)]
