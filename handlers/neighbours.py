"""Whether another worker on this machine computes now."""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
from pathlib import Path
from types import TracebackType

# Linux's struct flock: type, whence, start, length, pid.
FLOCK = struct.Struct("@hhqqi")


class Neighbours:
    """A context manager: inside it this process counts as computing.

    Workers share a file and each locks a byte of it, its pid's, while it computes; the system frees the bytes of one
    that dies. path: by default in the temporary folder, which a server's workers have in common. Not for several
    threads at once.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or Path(tempfile.gettempdir(), f"computing-{os.getuid()}")
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> Neighbours:
        fcntl.lockf(self.file, fcntl.LOCK_EX, 1, os.getpid())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, os.getpid())

    def rest(self) -> bool:
        """None of the others computes. Of locks of its own a process is not told."""
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind = FLOCK.unpack(fcntl.fcntl(self.file, fcntl.F_GETLK, asked))[0]
        return bool(kind == fcntl.F_UNLCK)
