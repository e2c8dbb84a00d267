"""The model store: a folder of archives, and what each says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.card import Card
from archiver.digest import sha256
from archiver.errors import Problem, VerificationError
from archiver.inspection import read
from archiver.mar import CARD, MANIFEST, Mar


@dataclass(frozen=True)
class Entry:
    """One archive. size: bytes. task: of our card, or the handler of an archive without one.

    metric: the main one of the card. problem: why TorchServe could not serve the file; the rest is then empty.
    """

    path: Path
    size: int
    sha256: str
    name: str = ""
    version: str = ""
    task: str = ""
    metric: str = ""
    built_with: str = ""
    problem: str = ""


def entries(store: Path) -> list[Entry]:
    """The archives in `store`, by file name; what is hidden is not there, as for TorchServe."""
    return [entry(path) for path in sorted(store.glob("*.mar")) if not path.name.startswith(".")]


def entry(path: Path) -> Entry:
    size, digest = path.stat().st_size, sha256(path)
    try:
        with Mar(path, required=[MANIFEST]) as mar:
            return of_card(mar, size, digest) if CARD in mar.names else of_manifest(mar, size, digest)
    except VerificationError as error:
        return Entry(path, size, digest, problem="; ".join(str(found) for found in error.problems))


def of_card(mar: Mar, size: int, digest: str) -> Entry:
    problems: list[Problem] = []
    card = read(mar, CARD, Card, problems)
    if card is None:
        raise VerificationError(str(mar.path), problems)
    versions = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    return Entry(mar.path, size, digest, card.name, card.version, card.task, main_metric(card.metrics), versions)


def of_manifest(mar: Mar, size: int, digest: str) -> Entry:
    """Of an archive that torch-model-archiver made."""
    manifest = mar.mapping(MANIFEST)
    model = manifest.get("model")
    if not isinstance(model, dict) or not {"modelName", "handler"} <= model.keys():
        raise VerificationError(str(mar.path), [Problem(MANIFEST, "wanted model.modelName and model.handler")])
    version, built_with = model.get("modelVersion", ""), f"torch-model-archiver {manifest.get('archiverVersion', '')}"
    return Entry(
        mar.path, size, digest, model["modelName"], version, f"handler {model['handler']}", built_with=built_with
    )


def main_metric(metrics: dict[str, Any]) -> str:
    """The first number among the metrics, which is where training writes the one that matters."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            if inner := main_metric(value):
                return f"{name}.{inner}"
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"{name} {value:.4g}"
    return ""
