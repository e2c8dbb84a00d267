"""Why a worker has ended, and what that cost: one line in its model's log, which programs can read as well."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from zygote.shared_progress import Held

MARK = "worker death: "  # before the JSON of a Death
MOST_NAMED = 32  # requests of a batch that no single one of is to blame


class Verdict(StrEnum):
    OUT_OF_MEMORY = "out of memory"
    SIGNAL = "signal"
    EXCEPTION = "exception"
    HUNG = "hung"
    STARTUP = "startup failure"
    KEPT_MEMORY = "kept memory"


@dataclass(frozen=True)
class Death:
    """model, version: "" where the archive does not say. worker: process id; 0 before it had loaded. detail: in words.

    requests: those that it was working on; all of its batch, MOST_NAMED at most, where that is not known. lost: how
    many of its batch get no answer of the model's, because no other worker takes over.
    """

    verdict: Verdict
    model: str
    worker: int
    detail: str
    requests: tuple[Held, ...] = ()
    lost: int = 0
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "requests": [held._asdict() for held in self.requests]}

    def __str__(self) -> str:
        return MARK + json.dumps(self.to_dict())


def end_of(status: int, killed_for_memory: bool) -> tuple[Verdict, str]:
    """Of a process that ended by itself or by a signal of others', its verdict and detail.

    status: as subprocess has it, negative for a signal. killed_for_memory: whether the kernel has done so to a process.
    """
    if status >= 0:
        return Verdict.EXCEPTION, f"exit status {status}"
    known = -status in set(signal.Signals)
    name = signal.Signals(-status).name if known else f"signal {-status}"
    if -status == signal.SIGKILL and killed_for_memory:
        return Verdict.OUT_OF_MEMORY, f"{name}, by the kernel as it seems"
    return Verdict.SIGNAL, name
