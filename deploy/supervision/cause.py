"""Why a process has ended."""

from __future__ import annotations

import signal

from zygote.death import Verdict
from zygote.usage import memory_kills

# Java's status with -XX:+ExitOnOutOfMemoryError.
OUT_OF_HEAP = 3


def cause(status: int, kills_before: int) -> tuple[Verdict, str]:
    """Verdict and detail, as of a worker (zygote/death.py).

    status: as subprocess has it, negative for a signal. kills_before: `memory_kills` when the process was well.
    """
    if status == OUT_OF_HEAP:
        return Verdict.OUT_OF_MEMORY, "Java ran out of heap (exit status 3): more waited in the queues than it holds"
    if status >= 0:
        return Verdict.EXCEPTION, f"it ended by itself with exit status {status}"
    name = signal.Signals(-status).name
    if -status == signal.SIGKILL and memory_kills() > kills_before:
        return Verdict.OUT_OF_MEMORY, f"it was killed ({name}), by the kernel for want of memory as it seems"
    return Verdict.SIGNAL, f"it was killed ({name})"
