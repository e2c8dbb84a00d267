"""A task's parameters as a model card describes them, `number from 0 to 1, for …`, as JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TYPES = re.compile(r"(integer|number|boolean|string|list of strings)\b")
RANGE = re.compile(r" from (-?[\d.]+) to (-?[\d.]+)")
LIST = {"type": "array", "items": {"type": "string"}}


def properties(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Parameters by name."""
    return {name: schema_of(text) for name, text in parameters.items()}


def schema_of(text: str) -> dict[str, Any]:
    """text: begins with a type, another one may follow after "or"; a range is that of a number."""
    schema: dict[str, Any] = {"description": text}
    first = TYPES.match(text)
    if first is None:
        return schema
    if "list of strings" in text:
        return {"anyOf": [{"type": "string"}, LIST], **schema}
    limits = RANGE.match(text, first.end())
    if limits:
        schema |= {"minimum": float(limits[1]), "maximum": float(limits[2])}
    return {"type": first[1], **schema}
