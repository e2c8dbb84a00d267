"""Returns memory to the system after an unusually large input."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from resource import getpagesize
from time import monotonic

# A worker's memory may grow by this much before it is returned: normal batches need it again and again.
SPARE = 64 << 20
# Seconds between two checks. A batch that fills SPARE takes longer, so none of those is missed.
PAUSE = 0.01
STATM = Path("/proc/self/statm")


class Memory:
    """The memory of this process. Call `give_back` after each batch; after a normal one it reads at most one number.

    By itself, glibc returns at most the end of its heap, never memory freed below a block in use: images decoded in
    blocks of 16 MiB, or in the threads of a pool, leave hundreds of megabytes. `malloc_trim` returns all free pages
    except the end of each other thread's heap, which is at most 64 MiB.
    """

    def __init__(self) -> None:
        self.trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
        self.statm = os.open(STATM, os.O_RDONLY) if self.trim and STATM.exists() else None
        self.held = self.resident()
        self.checked = 0.0  # seconds, by the clock of `monotonic`

    def resident(self) -> int:
        """The process's resident memory in bytes; 0 except on Linux with glibc: nothing is returned elsewhere."""
        return int(os.pread(self.statm, 100, 0).split()[1]) * getpagesize() if self.statm is not None else 0

    def give_back(self) -> bool:
        """Return free memory if the process has grown by more than SPARE since the last time; True if it had."""
        now = monotonic()
        if self.trim is None or now - self.checked < PAUSE:
            return False
        self.checked = now
        if self.resident() < self.held + SPARE:
            return False
        self.trim(0)
        self.held = self.resident()
        return True
