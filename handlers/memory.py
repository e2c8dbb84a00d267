"""Memory that an unusually large input took, given back to the system."""

from __future__ import annotations

import ctypes
from resource import getpagesize

# A worker's memory may grow by this much, which normal batches need again and again, before it is given back.
SPARE = 64 << 20
STATM = "/proc/self/statm"


class Memory:
    """Of this process. `give_back` goes after each batch: a read of 5 microseconds, and no more for a normal one.

    glibc keeps what is freed below a block in use, and never returns it by itself: images decoded in blocks of 16 MiB,
    or in the threads of a pool, leave a gigabyte behind. `malloc_trim` returns the free pages of all its arenas.
    """

    def __init__(self) -> None:
        self.trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
        self.held = resident()

    def give_back(self) -> bool:
        """Whether memory had grown by more than SPARE since it was last given back, and was given back again."""
        if self.trim is None or resident() < self.held + SPARE:
            return False
        self.trim(0)
        self.held = resident()
        return True


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say (it is no Linux)."""
    try:
        with open(STATM, "rb") as file:
            return int(file.read().split()[1]) * getpagesize()
    except OSError:
        return 0
