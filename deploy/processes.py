"""The processes of a server: found by process id and start time, and ended in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

GRACE = 15.0  # seconds
PAUSE = 0.05  # between two looks


def alive(state: Mapping[str, Any] | None) -> psutil.Process | None:
    """The process of a {"pid", "created"}; a reused pid is recognised by its `birth`."""
    if not state:
        return None
    try:
        process = psutil.Process(int(state["pid"]))
        same = birth(process.pid) == float(state["created"]) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    return process if same else None


def birth(pid: int) -> float:
    """When a process began, in ticks since the system started. psutil's creation time changes when the clock is set, so
    that a server would not be recognised."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return float(text.rpartition(")")[2].split()[19])


def family(state: Mapping[str, Any] | None) -> list[psutil.Process]:
    """The live processes of a server: TorchServe, its workers, and the process that they are forked from."""
    heads = [process for process in (alive(state), alive((state or {}).get("zygote"))) if process]
    return [member for head in heads for member in (head, *descendants(head))]


def descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:  # it has just ended
        return []


def wait_ended(process: psutil.Process, timeout: float) -> None:
    """Wait until a process has ended, at most `seconds`. If it is not our child, it may remain a zombie for long."""
    until = time.monotonic() + timeout
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
            time.sleep(PAUSE)


def end(state: Mapping[str, Any] | None) -> None:
    """End the processes of a server, those that were left as well."""
    members = family(state)
    process, zygote = alive(state), alive((state or {}).get("zygote"))
    if process:
        signalled(process, signal.SIGTERM)
        psutil.wait_procs([process], timeout=GRACE)
    if zygote:  # it would end by itself, but for what it may still be importing
        signalled(zygote, signal.SIGTERM)
    _, left = psutil.wait_procs(members, timeout=GRACE)
    for member in left:
        signalled(member, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def signalled(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
