"""The model store: a folder of archives, and what each says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.card import Card
from archiver.digest import sha256
from archiver.errors import VerificationError
from archiver.inspection import read
from archiver.mar import CARD, Mar


@dataclass(frozen=True)
class Entry:
    """One archive. size: bytes. card: None where the file is no archive of ours, and `problem` says why."""

    path: Path
    size: int
    sha256: str
    card: Card | None
    problem: str = ""


def entries(store: Path) -> list[Entry]:
    """The archives in `store`, by file name; what is hidden is not there, as for TorchServe."""
    return [entry(path) for path in sorted(store.glob("*.mar")) if not path.name.startswith(".")]


def entry(path: Path) -> Entry:
    card, problem = None, ""
    try:
        with Mar(path) as mar:
            problems: list[Any] = []
            card = read(mar, CARD, Card, problems)
            problem = "; ".join(str(found) for found in problems)
    except VerificationError as error:
        problem = "; ".join(str(found) for found in error.problems)
    return Entry(path, path.stat().st_size, sha256(path), card, problem)


def main_metric(metrics: dict[str, Any]) -> str:
    """The first number among the metrics, which is where training writes the one that matters."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            if inner := main_metric(value):
                return f"{name}.{inner}"
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"{name} {value:.4g}"
    return ""
