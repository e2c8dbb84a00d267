"""Memory that an unusually large input took, given back to the system."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from resource import getpagesize
from time import monotonic

# A worker's memory may grow by this much, which normal batches need again and again, before it is given back.
SPARE = 64 << 20
# Seconds between two looks. A batch that fills SPARE takes longer, so none of those is missed.
PAUSE = 0.01
STATM = Path("/proc/self/statm")


class Memory:
    """Of the process that makes one. `give_back` belongs after each batch; for a normal one it reads a number at most.

    glibc returns the end of its heap at most, never what is freed below a block in use: images that are decoded in
    blocks of 16 MiB, or in the threads of a pool, leave hundreds of megabytes. `malloc_trim` returns all free pages,
    but for the end of each other thread's heap, which is 64 MiB at most.
    """

    def __init__(self) -> None:
        self.trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
        self.statm = os.open(STATM, os.O_RDONLY) if self.trim and STATM.exists() else None
        self.held = self.resident()
        self.looked = 0.0  # by the clock of `monotonic`

    def resident(self) -> int:
        """Bytes of the process in memory; 0 where the system is not Linux, and nothing is given back."""
        return int(os.pread(self.statm, 100, 0).split()[1]) * getpagesize() if self.statm is not None else 0

    def give_back(self) -> bool:
        """Return memory if it has grown by more than SPARE since the last time; whether it had."""
        now = monotonic()
        if self.trim is None or now - self.looked < PAUSE:
            return False
        self.looked = now
        if self.resident() < self.held + SPARE:
            return False
        self.trim(0)
        self.held = self.resident()
        return True
