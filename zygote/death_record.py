"""The deaths of a server's workers: how many there were, and the latest ones."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from zygote import quarantine, shared_file
from zygote.death import Death

NAME = "deaths.json"
KEPT = 20


def report(folder: str, death: Death) -> None:
    """Report a death in TorchServe's log of the model and in the folder; "" for no folder."""
    print(death, file=sys.stderr, flush=True)
    if folder:
        tried(lambda: add(folder, death))


def blame(folder: str, death: Death, deaths: int) -> None:
    """Record that the only request of a death is answered with an error, because it has ended so many workers."""
    if folder and deaths:
        [held] = death.requests
        entry = quarantine.Entry(
            death.model, death.version, held.sha256, held.bytes, deaths, str(death.verdict), until=0.0
        )
        tried(lambda: quarantine.add(folder, entry))


def tried(change: Callable[[], None]) -> None:
    """Make a change; if a record cannot be written, that must not cost a request its answer."""
    try:
        change()
    except OSError as error:
        print(f"zygote: a death is not recorded: {error}", file=sys.stderr, flush=True)


def add(folder: str, death: Death) -> None:
    """Raises OSError if the record cannot be written."""
    key = {"model": death.model, "version": death.version, "verdict": str(death.verdict)}
    with shared_file.changed(os.path.join(folder, NAME)) as values:  # noqa: PTH118 - pathlib takes longer
        counts: list[dict[str, Any]] = values.setdefault("counts", [])
        found = next((count for count in counts if {**count, **key} == count), None)
        if found is None:
            counts.append(found := {**key, "deaths": 0})
        found["deaths"] += 1
        values["last"] = [*values.get("last", ()), {"at": time.time(), **death.to_dict()}][-KEPT:]


def counts(folder: str) -> dict[tuple[str, str, str], int]:
    """(model, version, verdict) → how many."""
    values = shared_file.read(os.path.join(folder, NAME))  # noqa: PTH118
    return {(count["model"], count["version"], count["verdict"]): count["deaths"] for count in values.get("counts", ())}


def last(folder: str) -> list[dict[str, Any]]:
    """The last KEPT deaths, the newest last: the fields of Death, and `at`, in seconds since 1970."""
    return list(shared_file.read(os.path.join(folder, NAME)).get("last", ()))  # noqa: PTH118
