"""One line of the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """note: works, but worth knowing, or optional and absent. problem: something that should work does not."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"

    @property
    def mark(self) -> str:
        return {"ok": "✓", "note": "!", "problem": "✗"}[self.value]


@dataclass(frozen=True)
class Finding:
    """remedy: advice on what to do; empty if nothing needs to be done."""

    level: Level
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(Level.OK, subject, text)


def note(subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(Level.NOTE, subject, text, remedy)


def problem(subject: str, text: str, remedy: str) -> Finding:
    return Finding(Level.PROBLEM, subject, text, remedy)
