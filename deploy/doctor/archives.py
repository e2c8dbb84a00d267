"""The archives of the model store: readable, complete and no older than what they are made from."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem
from deploy.models import DEMO, Model


@dataclass(frozen=True)
class Archive:
    """digests: of the weights and, by group, of the other files, as the model card has them. sha256: of the file."""

    file: str
    name: str
    version: str
    task: str
    sha256: str
    digests: dict[str, str]


def archives(checkout: Checkout) -> Iterator[Finding]:
    readable, outdated = [], []
    paths = stored(checkout)
    for path in paths:
        try:
            card_of(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            yield problem(
                "archives", f"{path.name} cannot be read: {error}", f"delete it and `./bundle build {path.stem}`"
            )
            continue
        readable.append(path.stem)
        model = Model(path.stem, "demo" if path.parent == checkout.store else "hub")
        if model.archive == path and not model.is_current():
            outdated.append(path.stem)
    if readable:
        yield ok("archives", f"{len(readable)} readable: {', '.join(readable)}")
    if outdated:
        text = f"older than their spec, weights or handlers: {', '.join(outdated)}"
        yield note("archives", text, "`./bundle serve` builds them again")
    missing = [name for name in DEMO if name not in {path.stem for path in paths}]
    if missing:
        yield note("archives", f"demo models not built yet: {', '.join(missing)}", "`./bundle serve` makes them")


def stored(checkout: Checkout) -> list[Path]:
    """The archives of the store and, below it, of the hub's models. Hidden ones are half-written."""
    found = [*checkout.store.glob("*.mar"), *checkout.store.glob("hub/*.mar")]
    return sorted(path for path in found if not path.name.startswith("."))


def card_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        file.getinfo("MAR-INF/MANIFEST.json")
        card: dict[str, Any] = json.loads(file.read("card.json"))
    return card


def described(path: Path) -> Archive:
    """Raises what `card_of` raises."""
    card = card_of(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Archive(path.name, card["name"], card["version"], card["task"], digest, card["sha256"])
