"""Values read from an archive's files, as JSON can hold them, and flattened to one line for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def as_json(value: Any) -> Any:
    """Dates of a YAML file become texts, and so do numbers that JSON lacks, such as NaN."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)


def dump(value: Any) -> str:
    """For standard output: nothing in it moves a terminal's cursor."""
    return json.dumps(value, indent=2, allow_nan=False)


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(key path, value) of each value that holds no others: `batch.size`, `labels[3]`; of empty ones, too."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from flat(inner, f"{path}[{index}]")
    else:
        yield path, value
