"""The facts that a file or folder of weights states about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver.errors import Problem, SpecError


@dataclass(frozen=True)
class Setting:
    """A key of the spec. comment: where its value comes from. certain: whether the weights say it, or it is assumed."""

    key: str
    value: Any
    comment: str = ""
    certain: bool = True


@dataclass(frozen=True)
class Findings:
    """kind: the format as people call it. files: of the artifact's weights, by their path in it.

    labels: of the classes, and `labels_from` where they stand; `classes`: how many the model has, where that alone is
    known. settings: further keys of the spec. missing: what has to be filled in before it can be built.
    """

    kind: str
    task: str
    format: str
    weights: str
    files: dict[str, Path]
    labels: list[str] = field(default_factory=list)
    labels_from: str = ""
    classes: int | None = None
    settings: list[Setting] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def refused(path: Path, what: str) -> SpecError:
    """The error to raise about the weights."""
    return SpecError(str(path), [Problem("the weights", what)])


def wanted_task(path: Path, given: str | None, possible: tuple[str, ...], why: str) -> str:
    """The task that was given, if it is one of those possible; else SpecError with the reason and the choice."""
    if given in possible:
        return given
    if given is None:
        raise refused(path, f"{why}: name the task, --task {' or '.join(possible)}")
    raise refused(path, f"{why}; wanted --task {' or '.join(possible)}, got {given}")
