"""Inputs that have ended several workers of a model, each time as the only input being worked on.

Keepers write the list, workers refuse what is on it (handlers/torchserve/quarantine.py; a test compares the two), and
`./bundle deploy quarantine` shows and clears it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from zygote import shared_file

NAME = "quarantine.json"
DEATHS = 2  # after so many an input is refused
LASTS = 24 * 3600.0  # seconds after the last of them
KEPT = 64  # inputs of a version, the newest; each has ended at least one worker


class Entry(NamedTuple):
    """sha256: of the input, bytes: its size, both as zygote/shared_progress.py counts them. deaths: of workers.

    verdict: on the last of these deaths. until: seconds since 1970.
    """

    model: str
    version: str
    sha256: str
    bytes: int
    deaths: int
    verdict: str
    until: float

    @property
    def refused(self) -> bool:
        return self.deaths >= DEATHS

    def same(self, other: Entry) -> bool:
        """Whether they are about the same input of the same version."""
        return (self.model, self.version, self.sha256) == (other.model, other.version, other.sha256)


def entries(folder: str) -> list[Entry]:
    """The entries in force, the newest last, including inputs that have ended one worker and are not refused yet."""
    return parsed(shared_file.read(path(folder)))


def add(folder: str, entry: Entry) -> None:
    """Add an entry, whose `until` is set here. Raises OSError if the list cannot be written."""
    with shared_file.changed(path(folder)) as values:
        now = parsed(values)
        deaths = entry.deaths + sum(each.deaths for each in now if each.same(entry))
        others = [each for each in now if not each.same(entry)]
        own = [each for each in others if (each.model, each.version) == (entry.model, entry.version)]
        left_out = own[: max(0, len(own) + 1 - KEPT)]
        newest = entry._replace(deaths=deaths, until=time.time() + LASTS)
        values["inputs"] = [each._asdict() for each in (*(each for each in others if each not in left_out), newest)]


def clear(folder: str, wanted: Callable[[Entry], bool]) -> list[Entry]:
    """Take the wanted entries off the list and return them. Raises OSError if it cannot be written."""
    with shared_file.changed(path(folder)) as values:
        now = parsed(values)
        values["inputs"] = [each._asdict() for each in now if not wanted(each)]
    return [each for each in now if wanted(each)]


def parsed(values: dict[str, Any]) -> list[Entry]:
    found = [Entry(**each) for each in values.get("inputs", ())]
    return [each for each in found if each.until > time.time()]


def path(folder: str) -> str:
    return os.path.join(folder, NAME)  # noqa: PTH118 - pathlib takes longer
