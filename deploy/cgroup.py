"""The share of the machine this process may use: its CPU affinity and its control group's limits.

Standard library only: `doctor` reads it before anything is installed.
"""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """The number of cores this process may use."""
    return max(1, int(min(len(os.sched_getaffinity(0)), quota())))


def quota() -> float:
    """Cores a container's limit allows (cgroup v2's cpu.max); infinite without one."""
    limit, _, period = text_of("/sys/fs/cgroup/cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() else float("inf")


def memory() -> int:
    """Bytes of memory: the machine's, or fewer where a container's limit says so."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = text_of("/sys/fs/cgroup/memory.max")
    return min(machine, int(limit)) if limit.isdigit() else machine


def memory_left() -> float:
    """Bytes a container's limit leaves (cgroup v2's memory.max); infinite without one."""
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
