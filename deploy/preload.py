"""What TorchServe's warm process imports before it forks workers: what several of them need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deploy.layout import card_of, cores
from zygote.libraries import EVERY, libraries


def preload(archives: Sequence[Path]) -> tuple[str, ...]:
    """Of these archives, if all are served.

    A library of one worker alone is left to that worker: importing it ahead would make all the others wait for it.
    """
    wanted = Counter(library for archive in archives for library in libraries(card_of(archive)["task"]))
    workers = max(1, cores() // max(1, len(archives)))  # of each model, about
    return (*EVERY, *(name for name, count in wanted.items() if name not in EVERY and count * workers > 1))
