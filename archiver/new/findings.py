"""Facts that a file or folder of weights provides about the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver.errors import Problem, SpecError
from handlers.formats.huggingface import TOKENIZED


@dataclass(frozen=True)
class Setting:
    """A key of the spec. comment: the origin of its value. certain: stated by the weights rather than assumed."""

    key: str
    value: Any
    comment: str = ""
    certain: bool = True


@dataclass(frozen=True)
class Findings:
    """kind: the format's usual name. files: the weights' files by path in the artifact.

    labels: class names. labels_from: their origin. classes: number of classes, if nothing else is known. settings:
    other keys of the spec. missing: what has to be filled in before building.
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


def check_untokenized(path: Path, task: str | None) -> None:
    """Raise SpecError for a task whose models need a tokenizer, which a file of weights does not have."""
    if task in TOKENIZED:
        raise refused(path, f"--task {task}: such a model needs its tokenizer; name its Hugging Face folder")


def wanted_task(path: Path, given: str | None, possible: tuple[str, ...], why: str) -> str:
    """The given task if it is possible. Otherwise raises SpecError with the reason and the choices."""
    if given in possible:
        return given
    if given is None:
        raise refused(path, f"{why}: name the task, --task {' or '.join(possible)}")
    raise refused(path, f"{why}; wanted --task {' or '.join(possible)}, got {given}")
