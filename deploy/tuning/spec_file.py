"""Replaces keys of a spec file and keeps its comments and other lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.errors import DeployError


def write(path: Path, keys: Mapping[str, Any]) -> None:
    """Set `keys` in the spec at `path`. Raises DeployError if the file cannot be changed in that way."""
    text = path.read_text(encoding="utf-8")
    changed = replaced(text, keys)
    try:
        right = (yaml.safe_load(changed) or {}) == {**(yaml.safe_load(text) or {}), **keys}
    except yaml.YAMLError:
        right = False
    if not right:
        lines = yaml.safe_dump(dict(keys), sort_keys=False)
        raise DeployError(f"{path} is not written a key a line; put this in it:\n{lines}")
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with partial.open("x", encoding="utf-8") as file:  # never through a link that somebody put there
        file.write(changed)
    partial.replace(path)


def mapping(path: Path, key: str) -> dict[str, Any]:
    """Of a key of the spec, where it has it."""
    return dict((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(key) or {})


def replaced(text: str, keys: Mapping[str, Any]) -> str:
    """The lines of a block mapping without those of `keys`, followed by the new ones."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        margin = line.startswith(("#", "\n"))  # a comment or a blank line, which is kept in place
        if not margin and not line.startswith((" ", "\t", "-")):
            inside = line.partition(":")[0].strip("\"' ") in keys
        if margin or not inside:
            kept.append(line)
    if kept and not kept[-1].endswith("\n"):
        kept.append("\n")
    return "".join(kept) + yaml.safe_dump(dict(keys), sort_keys=False, default_flow_style=None)
