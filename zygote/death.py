"""Why a worker ended and what that cost: one line in its model's log, which programs can read too."""

from __future__ import annotations

import json
import signal
from enum import StrEnum
from typing import Any, NamedTuple

from zygote.shared_progress import Held

MARK = "worker death: "  # before the JSON of a Death
MOST_NAMED = 32  # requests that are named if none can be singled out


class Verdict(StrEnum):
    OUT_OF_MEMORY = "out of memory"
    SIGNAL = "signal"
    EXCEPTION = "exception"
    HUNG = "hung"
    STARTUP = "startup failure"
    KEPT_MEMORY = "kept memory"


class Death(NamedTuple):
    """model, version: "" if the archive does not say. worker: process id, 0 before it had loaded. detail: in words.

    requests: those that it was working on; if unknown, all of its batch, at most MOST_NAMED. lost: how many of its
    batch get no answer from the model, because no other worker takes over.
    """

    verdict: Verdict
    model: str
    worker: int
    detail: str
    requests: tuple[Held, ...] = ()
    lost: int = 0
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "requests": [held._asdict() for held in self.requests]}

    def __str__(self) -> str:
        return MARK + json.dumps(self.to_dict())


def end_of(status: int, killed_for_memory: bool) -> tuple[Verdict, str]:
    """Verdict and detail for a process that ended by itself or by somebody else's signal.

    status: as subprocess reports it, negative for a signal. killed_for_memory: whether the kernel has killed a process
    to free memory.
    """
    if status >= 0:
        return Verdict.EXCEPTION, f"exit status {status}"
    known = -status in set(signal.Signals)
    name = signal.Signals(-status).name if known else f"signal {-status}"
    if -status == signal.SIGKILL and killed_for_memory:
        return Verdict.OUT_OF_MEMORY, f"{name}, apparently by the kernel"
    return Verdict.SIGNAL, name
