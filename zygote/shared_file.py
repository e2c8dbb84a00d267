"""JSON files in the run folder that are changed by the keepers of all workers."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# In the environment of TorchServe and all its processes: the folder of these files. Without it nothing is recorded.
FOLDER = "ZYGOTE_RECORDS"
PATIENCE, POLL = 1.0, 0.02  # seconds


def read(path: str) -> dict[str, Any]:
    """The content of a file; {} if it is missing."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes longer
            values: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {}
    return values


@contextmanager
def changed(path: str) -> Iterator[dict[str, Any]]:
    """The content of a file, to be changed in place; the end of the block writes it, as a whole or not at all.

    Raises OSError if the folder is missing, the disk is full, or another process, perhaps one stopped by a signal, has
    held the lock for PATIENCE seconds.
    """
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        lock(folder)
        values = read(path)
        yield values
        partial = f"{path}.partial"
        with open(partial, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(values, file, indent=1)
        os.replace(partial, path)  # noqa: PTH105
    finally:
        os.close(folder)  # and with it the lock


def lock(folder: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError(f"another process has held the lock for {PATIENCE:g} s") from None
            time.sleep(POLL)
