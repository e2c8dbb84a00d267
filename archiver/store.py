"""Lists the archives of a model store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.card import Card
from archiver.digest import sha256
from archiver.errors import Problem, VerificationError, one_line
from archiver.inspection import read
from archiver.mar import CARD, MANIFEST, Mar
from handlers.formats.zip_file import check_file, reason

MAX_NAME = 200  # characters of a model's name, handler or version


@dataclass(frozen=True)
class Entry:
    """One archive. size: in bytes. task: from the model card, or the handler without a card.

    metric: the card's main metric. problem: why TorchServe could not serve the file; other fields are then empty.
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
    """The archives in `store` by file name, without hidden files, as in TorchServe."""
    return [entry(path) for path in sorted(store.glob("*.mar")) if not path.name.startswith(".")]


def entry(path: Path) -> Entry:
    size, digest = 0, ""
    try:
        check_file(path)
        size = path.stat().st_size
        with Mar(path, required=[MANIFEST]) as mar:
            digest = sha256(path)
            return of_card(mar, size, digest) if CARD in mar.names else of_manifest(mar, size, digest)
    except OSError as error:
        return Entry(path, size, digest, problem=f"cannot be read: {reason(error)}")
    except VerificationError as error:
        return Entry(path, size, digest, problem=one_line(error))


def of_card(mar: Mar, size: int, digest: str) -> Entry:
    problems: list[Problem] = []
    card = read(mar, CARD, Card, problems)
    if card is None:
        raise VerificationError(str(mar.path), problems)
    versions = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    return Entry(mar.path, size, digest, card.name, card.version, card.task, main_metric(card.metrics), versions)


def of_manifest(mar: Mar, size: int, digest: str) -> Entry:
    """The entry of an archive made by torch-model-archiver."""
    manifest = mar.mapping(MANIFEST)
    model = manifest.get("model")
    if not isinstance(model, dict) or not {"modelName", "handler"} <= model.keys():
        raise VerificationError(str(mar.path), [Problem(MANIFEST, "wanted model.modelName and model.handler")])
    name, handler, version = (model.get(key, "") for key in ("modelName", "handler", "modelVersion"))
    if not all(isinstance(value, str) and len(value) <= MAX_NAME for value in (name, handler, version)):
        wanted = f"wanted texts of up to {MAX_NAME} characters for the model's name, handler, version"
        raise VerificationError(str(mar.path), [Problem(MANIFEST, wanted)])
    built_with = f"torch-model-archiver {manifest.get('archiverVersion', '')}"
    return Entry(mar.path, size, digest, name, version, f"handler {handler}", built_with=built_with)


def main_metric(metrics: dict[str, Any]) -> str:
    """The first number among the metrics, where training puts the main one. A loss is used only if there is nothing
    else, because losses are comparable only for the same labels.
    """
    found = list(numbers(metrics))
    scores = [(name, value) for name, value in found if "loss" not in name.lower()]
    return next((f"{name} {value:.4g}" for name, value in scores or found), "")


def numbers(metrics: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """(name, value) of every number, with a path of nested names."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{name}", value
