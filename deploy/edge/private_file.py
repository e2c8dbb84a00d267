"""Files that nobody but their owner could ever read, not even while they are written."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def replace_private(path: Path, text: str, owner: Path | None = None) -> None:
    """Write a whole file in the place of another, so that a reader finds one or the other.

    owner: a file or folder with the same owner; None for the user who writes, who alone can own it without being root.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    write_private(partial, text)
    if owner is not None and os.geteuid() == 0:
        state = owner.stat()
        os.chown(partial, state.st_uid, state.st_gid)
    partial.replace(path)
