"""Whether the archives of the model store are readable, complete and up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.archive import Archive
from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem
from deploy.errors import DeployError
from deploy.models import DEMO, Model


def archives(checkout: Checkout) -> Iterator[Finding]:
    readable, outdated = [], []
    paths = stored(checkout)
    for path in paths:
        try:
            archive = Archive.read(path)
        except DeployError as error:
            yield problem("archives", str(error), f"delete it and `./bundle build {path.stem}`")
            continue
        if archive.missing:
            yield problem("archives", f"{path.name} cannot be served: {archive.missing}", "`./scripts/setup stock`")
        readable.append(path.stem)
        model = Model(path.stem, "demo" if path.parent == checkout.store else "hub")
        if model.archive == path and not model.is_current():
            outdated.append(path.stem)
    if readable:
        yield ok("archives", f"{len(readable)} readable: {', '.join(readable)}")
    if outdated:
        text = f"made from another spec, artifact or other handlers than those here: {', '.join(outdated)}"
        yield note("archives", text, "`./bundle serve` builds them again")
    missing = [name for name in DEMO if name not in {path.stem for path in paths}]
    if missing:
        yield note("archives", f"demo models not built yet: {', '.join(missing)}", "`./bundle serve` makes them")


def stored(checkout: Checkout) -> list[Path]:
    """The archives of the store and, below it, of the hub's models. Hidden ones are incomplete."""
    found = [*checkout.store.glob("*.mar"), *checkout.store.glob("hub/*.mar")]
    return sorted(path for path in found if not path.name.startswith("."))


def described(path: Path) -> dict[str, Any]:
    """An archive's name, version, task and digests, for a bug report. Raises DeployError."""
    archive = Archive.read(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": path.name,
        "name": archive.name,
        "version": archive.version,
        "task": archive.task,
        "sha256": digest,
        "digests": archive.card.get("sha256", {}),
    }
