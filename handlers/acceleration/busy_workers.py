"""Whether another worker on this machine is computing right now."""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
from pathlib import Path
from types import TracebackType

# Linux's struct flock: type, whence, start, length, pid.
FLOCK = struct.Struct("@hhqqi")


class BusyWorkers:
    """A context manager; within it, this process counts as computing.

    Workers share a file, and each locks the byte at its pid while it computes; the system releases the locks of a
    process that dies. path: by default in the temporary folder that a server's workers share. Not thread-safe.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or Path(tempfile.gettempdir(), f"computing-{os.getuid()}")
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> BusyWorkers:
        fcntl.lockf(self.file, fcntl.LOCK_EX, 1, os.getpid())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, os.getpid())

    def others_idle(self) -> bool:
        """Whether no other worker is computing. The system does not report a process's own locks to it."""
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind = FLOCK.unpack(fcntl.fcntl(self.file, fcntl.F_GETLK, asked))[0]
        return bool(kind == fcntl.F_UNLCK)
