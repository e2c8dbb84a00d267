"""Faults of the machine and of callers: each ends, and the server has to come back within its bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGSTOP

from tests.chaos.crowds import leaving_callers, overflow, slow_callers
from tests.chaos.neighbours import Neighbours
from tests.chaos.outcome import BUSY
from tests.chaos.processes import edge_keeper, envoy, java, keeper, signalled, worker, zygote
from tests.chaos.report import Finding, Phase
from tests.chaos.target import Target

WORKER_DIED = frozenset({500})  # as docs/requests.md says of the batch that a worker had
KILLED = frozenset({507})  # as it says where the process that TorchServe takes for the worker was
DISK_FULL = 8.0  # seconds
STEADY = 4.0  # seconds of right answers alone: the edge takes some to see that a worker has gone


@dataclass(frozen=True)
class Fault:
    """bound: seconds in which every model must answer rightly again. permitted: what neighbours may get until then.

    do: brings it about and ends it; answers to requests of its own go into the phase. needs: what the target must have.
    kills: how many workers end by it, of one model or of all; ends_java: so restarts that are wanted.
    """

    name: str
    bound: float
    permitted: frozenset[int]
    do: Callable[[Target, Phase, float], None]
    needs: Callable[[Target], bool] = lambda target: True
    kills: Callable[[Target], int] = lambda target: 0
    ends_java: bool = False


def fill_disk(target: Target, phase: Phase, deadline: float) -> None:
    """The file system of the run folder, with its logs and sockets, has no byte left for some seconds."""
    path = target.run / "filler"
    try:
        fill(path)
        time.sleep(DISK_FULL)
    finally:
        path.unlink(missing_ok=True)


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")


def one(target: Target) -> int:
    return 1


def every(target: Target) -> int:
    return len(target.models)


def has_edge(target: Target) -> bool:
    return target.with_edge


def has_small_disk(target: Target) -> bool:
    return target.has_small_disk


DOWN = BUSY | WORKER_DIED
FAULTS = (
    Fault("slow callers", 5.0, frozenset(), slow_callers),
    Fault("leaving callers", 5.0, BUSY, leaving_callers),
    Fault("kill -9 of a worker", 30.0, frozenset(), signalled(worker, SIGKILL), kills=one),
    Fault("a full queue", 15.0, BUSY, overflow),
    Fault("a full disk", 15.0, frozenset(), fill_disk, needs=has_small_disk),
    Fault("SIGSTOP of a worker", 60.0, frozenset(), signalled(worker, SIGSTOP), kills=one),
    Fault("kill -9 of a worker's keeper", 30.0, DOWN | KILLED, signalled(keeper, SIGKILL), kills=one),
    Fault("SIGSTOP of a worker's keeper", 30.0, frozenset(), signalled(keeper, SIGSTOP)),
    Fault("kill -9 of Envoy", 30.0, DOWN, signalled(envoy, SIGKILL), needs=has_edge),
    Fault("SIGSTOP of Envoy", 30.0, DOWN, signalled(envoy, SIGSTOP), needs=has_edge),
    Fault("kill -9 of Envoy's keeper", 30.0, DOWN, signalled(edge_keeper, SIGKILL), needs=has_edge),
    Fault("SIGSTOP of Envoy's keeper", 30.0, DOWN, signalled(edge_keeper, SIGSTOP), needs=has_edge),
    Fault("SIGSTOP of Java", 60.0, DOWN, signalled(java, SIGSTOP)),
    Fault("kill -9 of Java", 90.0, DOWN, signalled(java, SIGKILL), kills=every, ends_java=True),
    Fault("kill -9 of the warm process", 90.0, DOWN, signalled(zygote, SIGKILL), kills=every),
)


def inflict(fault: Fault, target: Target, neighbours: Neighbours, phase: Phase, deadline: float) -> None:
    """Bring a fault about and wait until the server has recovered."""
    if not fault.needs(target):
        phase.note = "not run: " + ("a small disk needs root" if fault.do is fill_disk else "there is no edge")
        return
    target.expected += fault.kills(target)
    with neighbours.permitting(fault.permitted):
        fault.do(target, phase, deadline)
        took, lost = neighbours.recovered(target.models, fault.bound, STEADY if fault.permitted else 0.0)
    if lost:
        phase.add(Finding(f"not back within {fault.bound:g} s: {', '.join(lost)}"))
    elif not phase.note:
        phase.note = f"back after {took:.1f} s of {fault.bound:g}"
