"""Reads untrusted files, and refuses those that are too large or too deeply nested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bounded_yaml import reader
from bounded_yaml.reader import UnreadableYaml
from handlers.formats import json_file, zip_file
from handlers.formats.errors import UnsafeFile

MAX_BYTES = 16 << 20  # a card with labels and statistics of 100,000 classes has a third of this


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A file's content. Raises UnsafeFile if it is not a regular file or larger than the limit."""
    try:
        zip_file.check_file(path)
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UnsafeFile(f"cannot be read: {zip_file.reason(error)}") from None
    if len(content) > limit:
        raise UnsafeFile(f"has more than {limit} bytes")
    return content


def read_json(path: Path) -> Any:
    """A JSON file's value. Raises UnsafeFile if it is not JSON, or holds half of a character, as in `"\\ud800"`."""
    try:
        value = json_file.loads(read_bytes(path), "it")
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError as error:
        raise UnsafeFile(f"cannot be read as JSON: {error.object[error.start]!r} is half of a character") from None
    except UnsafeFile as error:
        raise UnsafeFile(f"cannot be read as JSON: {error}" if str(error).startswith("it ") else str(error)) from None


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeFile(f"is not UTF-8: {error.reason}") from None


def parse_yaml(text: str) -> Any:
    """The value of a YAML text. Raises UnsafeFile if it cannot be read."""
    try:
        return reader.parse(text)
    except UnreadableYaml as error:
        raise UnsafeFile(str(error)) from None
