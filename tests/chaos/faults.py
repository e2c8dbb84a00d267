"""Faults of the machine and of callers: each ends, and the server has to come back within its bound."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.run_folder import running
from tests.chaos.neighbours import Neighbours
from tests.chaos.outcome import BUSY, Outcome
from tests.chaos.report import Finding, Phase
from tests.chaos.target import Target
from tests.chaos.wire import Line, Wire, pieces, request

OBSERVATION = b'{"data": [0.1, 0.2, 0.3, 0.4]}'
MODEL = "tiny-policy"
WORKER_DIED = frozenset({500})  # as docs/requests.md says of the batch that a worker had
CROWD = 300  # callers at once; a queue takes 100
STOPPED = 6.0  # seconds for which a queue fills
SLOW_CALLERS = 40
DISK_FULL = 8.0  # seconds
STEADY = 4.0  # seconds of right answers alone: the edge takes some to see that a worker has gone


@dataclass(frozen=True)
class Fault:
    """bound: seconds in which every model must answer rightly again. permitted: what neighbours may get until then.

    do: brings it about and ends it; answers to requests of its own go into the phase. kills: workers, so restarts that
    are wanted.
    """

    name: str
    bound: float
    permitted: frozenset[int]
    do: Callable[[Target, Phase, float], None]
    kills: int = 0


def kill_worker(target: Target, phase: Phase, deadline: float) -> None:
    os.kill(target.workers(MODEL)[0], signal.SIGKILL)


def stop_worker(target: Target, phase: Phase, deadline: float) -> None:
    """It does not go on by itself; TorchServe or a supervisor has to see that."""
    os.kill(target.workers(MODEL)[0], signal.SIGSTOP)


def kill_java(target: Target, phase: Phase, deadline: float) -> None:
    process = running(target.run)
    if process is None:
        return
    process.kill()
    with suppress(psutil.TimeoutExpired):
        process.wait(10)
    target.expected += len(target.models)


def overflow(target: Target, phase: Phase, deadline: float) -> None:
    """More callers than a model's queue takes, while its worker stands still: each is answered or refused, in form."""
    pid = target.workers(MODEL)[0]
    line = Line(target.server, target.key)
    wire = Wire(MODEL, "crowd", (request(f"/predictions/{MODEL}", "application/json", OBSERVATION),))
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(CROWD) as pool:
            asked = [pool.submit(line.send, wire, deadline) for _ in range(CROWD)]
            time.sleep(STOPPED)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            for answer in asked:
                count_refusal(phase, answer.result())
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    if not phase.answers["refused"]:
        phase.add(Finding(f"{CROWD} callers at once and none was refused: the queue has no end"))


def count_refusal(phase: Phase, outcome: Outcome) -> None:
    phase.requests += 1
    if outcome.code not in BUSY:
        phase.answers[outcome.kind] += 1
        if outcome.code != 200:
            phase.add(
                Finding(f"a caller in a full queue: {outcome.code or outcome.kind}", {"body": outcome.body[:500]})
            )
        return
    phase.answers["refused"] += 1
    if not outcome.retry_after:
        phase.add(Finding(f"refused with {outcome.code} without Retry-After", {"body": outcome.body[:500]}))


def slow_callers(target: Target, phase: Phase, deadline: float) -> None:
    """Whole requests a few bytes at a time: they are answered, and nobody waits for them."""
    line = Line(target.server, target.key)
    whole = request(f"/predictions/{MODEL}", "application/json", OBSERVATION)
    wire = Wire(MODEL, "slow", pieces(whole, range(8, len(whole), 8)), pause=0.15)
    with ThreadPoolExecutor(SLOW_CALLERS) as pool:
        for outcome in pool.map(lambda _: line.send(wire, deadline), range(SLOW_CALLERS)):
            phase.requests += 1
            phase.answers[outcome.kind] += 1
            if outcome.code != 200:
                phase.add(Finding(f"a slow caller got {outcome.code or outcome.kind}", {"body": outcome.body[:500]}))


def leaving_callers(target: Target, phase: Phase, deadline: float) -> None:
    """Callers that go in the middle of a request, or before its answer."""
    line, chance = Line(target.server, target.key), random.Random(0)
    whole = request(f"/predictions/{MODEL}", "application/json", OBSERVATION)
    ends = [chance.choice((len(whole), chance.randrange(1, len(whole)))) for _ in range(CROWD)]
    wires = [Wire(MODEL, "leaving", (whole[:end],), complete=False, leaves=True) for end in ends]
    with ThreadPoolExecutor(SLOW_CALLERS) as pool:
        for outcome in pool.map(lambda wire: line.send(wire, deadline), wires):
            phase.requests += 1
            phase.answers[outcome.kind] += 1


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


KILL_OF_JAVA = "kill -9 of Java"
FAULTS = (
    Fault("slow callers", 5.0, frozenset(), slow_callers),
    Fault("leaving callers", 5.0, frozenset(), leaving_callers),
    Fault("kill -9 of a worker", 30.0, BUSY | WORKER_DIED, kill_worker, kills=1),
    Fault("a full queue", 15.0, BUSY, overflow),
    Fault("a full disk", 15.0, frozenset(), fill_disk),
    Fault("SIGSTOP of a worker", 60.0, BUSY | WORKER_DIED, stop_worker, kills=1),
    Fault(KILL_OF_JAVA, 90.0, BUSY | WORKER_DIED, kill_java),
)


def inflict(fault: Fault, target: Target, neighbours: Neighbours, phase: Phase, deadline: float) -> None:
    """Bring a fault about and wait until the server has recovered."""
    if fault.do is fill_disk and not target.has_small_disk:
        phase.note = "not run: a small disk needs root"
        return
    target.expected += fault.kills
    with neighbours.permitting(fault.permitted):
        fault.do(target, phase, deadline)
        took, lost = neighbours.recovered(target.models, fault.bound, STEADY)
    if lost:
        phase.add(Finding(f"not back within {fault.bound:g} s: {', '.join(lost)}"))
    elif not phase.note:
        phase.note = f"back after {took:.1f} s of {fault.bound:g}"
