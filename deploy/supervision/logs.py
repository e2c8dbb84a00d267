"""Bounds logs that no program rotates: what processes write to standard output and error."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LARGEST = 10 << 20  # bytes, of a log and of the one before it
UNROTATED = ("console.log", "edge.log", "supervisor.log")


def bound(folder: Path, largest: int = LARGEST) -> None:
    """Move what a log holds to NAME.1.log once it is larger than `largest` bytes.

    Its writer keeps the file open, so it is copied and emptied; the writer must append. What is written between the
    two is lost.
    """
    for name in UNROTATED:
        path = folder / name
        if path.is_file() and path.stat().st_size > largest:
            shutil.copyfile(path, path.with_name(f"{path.stem}.1{path.suffix}"))
            os.truncate(path, 0)
