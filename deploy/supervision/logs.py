"""Bounds the logs of standard output and error, which no program rotates."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LARGEST = 10 << 20  # bytes, for a log and for its predecessor
UNROTATED = ("console.log", "edge.log", "supervisor.log")


def bound(folder: Path, largest: int = LARGEST) -> None:
    """Move what a log holds to NAME.1.log once it is larger than `largest` bytes.

    Its writer keeps the file open, so it is copied and then emptied; the writer must append. Lines that are written in
    between are lost.
    """
    for name in UNROTATED:
        path = folder / name
        if path.is_file() and path.stat().st_size > largest:
            shutil.copyfile(path, path.with_name(f"{path.stem}.1{path.suffix}"))
            os.truncate(path, 0)
