"""How much processor time and memory a process takes, read from the kernel: psutil takes longer to import."""

from __future__ import annotations

import os

PAGE = os.sysconf("SC_PAGE_SIZE")


def processor_time(pid: int) -> float:
    """Seconds in which the threads of a process ran, or were ready and waited for a processor; 0 if it has ended."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:  # noqa: PTH123
                ran, waited, _ = file.read().split()
            total += int(ran) + int(waited)
    except OSError:
        return 0.0
    return total / 1e9


def resident(pid: int) -> int:
    """Bytes of a process in memory, without files and shared memory; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/statm", encoding="utf-8") as file:  # noqa: PTH123
            fields = file.read().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * PAGE


def memory_kills() -> int:
    """How many processes the kernel has killed to free memory, on the machine and in this container."""
    return sum(oom_kills(path) for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"))


def oom_kills(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except OSError:  # no cgroup v2 here
        return 0
