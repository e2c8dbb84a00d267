"""The share of the machine that this process may use: its CPU affinity and its control group's limits.

Standard library only: `doctor` reads it before anything is installed.
"""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """The number of cores that this process may use."""
    return max(1, int(min(len(os.sched_getaffinity(0)), quota())))


def quota() -> float:
    """The number of cores that a container's limit allows (cpu.max of cgroup v2); infinite without a limit."""
    limit, _, period = text_of("/sys/fs/cgroup/cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() else float("inf")


def memory() -> int:
    """Bytes of memory of the machine, or of the container if its limit is lower."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = text_of("/sys/fs/cgroup/memory.max")
    return min(machine, int(limit)) if limit.isdigit() else machine


def memory_left() -> float:
    """Bytes that a container's limit leaves free (memory.max of cgroup v2); infinite without a limit."""
    limit, used = text_of("/sys/fs/cgroup/memory.max"), text_of("/sys/fs/cgroup/memory.current")
    if not (limit.isdigit() and used.isdigit()):
        return float("inf")
    # Pages read from files count as used, but the kernel gives them back when a process asks for memory.
    held = dict(line.split() for line in text_of("/sys/fs/cgroup/memory.stat").splitlines())
    return int(limit) - int(used) + int(held.get("file", 0))


def text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:  # no cgroup v2 here
        return ""
