"""Errors of specs, artifacts and archives, reported all at once.

ArchiverError
├── SpecError           a spec or its artifact has problems
└── VerificationError   an archive is inconsistent or does not answer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from handlers.formats.zip_file import printable

MAX_VALUE_LENGTH = 80
MAX_LINE_LENGTH = 200
MAX_PROBLEMS, MAX_SHOWN = 100, 1000  # of a message: problems, and characters of a line


@dataclass(frozen=True)
class Problem:
    """where: a key path such as `batch.size`, or a file. what: the problem, usually as wanted and got."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ArchiverError(Exception):
    """The message is a block for people: the checked file, then one line per problem, or several of a worker's.

    What an archive or a folder holds appears in it, so it is bounded, without characters that control the terminal.
    """

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.subject = printable(subject)
        self.problems = list(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = [line for problem in self.problems[:MAX_PROBLEMS] for line in f"  {problem}".splitlines()]
        shown = [printable(line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}…") for line in lines]
        if len(self.problems) > MAX_PROBLEMS:
            shown.append(f"  … {len(self.problems) - MAX_PROBLEMS} more")
        super().__init__("\n".join([f"{self.subject}: {count}", *shown]))


class SpecError(ArchiverError):
    pass


class VerificationError(ArchiverError):
    pass


def one_line(error: ArchiverError) -> str:
    """The problems in one line of at most MAX_LINE_LENGTH characters, without the subject."""
    problems = "; ".join(str(problem) for problem in error.problems)
    return " ".join(problems.split())[:MAX_LINE_LENGTH]


def message(error: Exception) -> str:
    """An error of this package, of the system or of `trust` in one line for people, with the file it is about."""
    said = str(error)
    if isinstance(error, ArchiverError):
        said = f"{error.subject}: {one_line(error)}"
    elif isinstance(error, OSError) and error.filename:
        said = f"{error.filename}: {error.strerror}"
    return printable(said)


def problems_of(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[Problem]:
    """One problem per pydantic error, with the closest known key for an unknown one.

    model: the validated model. prefix: its key path in its file.
    """
    problems = []
    for detail in error.errors():
        path = key_path(detail["loc"], prefix)
        if detail["type"] == "extra_forbidden":
            known = known_keys(model, detail["loc"][:-1])
            problems.append(Problem(path, f"unknown key{nearest(str(detail['loc'][-1]), known)}"))
        elif detail["type"] == "missing":
            problems.append(Problem(path, "missing"))
        else:
            wanted = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            got = repr(detail["input"])
            problems.append(Problem(path or "the file", f"wanted {wanted}; got {shortened(got)}"))
    return problems


def nearest(key: str, known: Sequence[str]) -> str:
    """A suggestion such as `; did you mean 'x'?`, or the known keys if none is close."""
    if close := get_close_matches(key, known, n=1, cutoff=0.6):
        return f"; did you mean {close[0]!r}?"
    return f"; known keys: {', '.join(known)}" if known else "; no keys are known"


def unknown_keys(values: Mapping[str, Any], known: Sequence[str], prefix: str) -> list[Problem]:
    return [Problem(f"{prefix}.{key}", f"unknown key{nearest(key, known)}") for key in values if key not in known]


def known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys of the section of `model` at `location`."""
    for step in location:
        field = model.model_fields.get(str(step)) if isinstance(step, str) else None
        sections = [] if field is None else [field.annotation, *get_args(field.annotation)]
        inner = [kind for kind in sections if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def key_path(location: Sequence[str | int], prefix: str = "") -> str:
    """`("batch", "size")` → `batch.size`, `("labels", 3)` → `labels[3]`."""
    path = prefix
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def shortened(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"
