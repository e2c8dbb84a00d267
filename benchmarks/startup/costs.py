"""The costs of starting a worker, and the same model in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Start:
    """Seconds until a worker was ready, `spawned` of them until its process was there; its memory in bytes.

    cpu: seconds of processor time of the worker. two: PSS of two workers together. second: USS of each of them.
    """

    seconds: float
    cpu: float
    spawned: float
    pss: int
    uss: int
    two: int
    second: float


@dataclass(frozen=True)
class Plain:
    """The same model in plain Python: seconds from the start of the process, of its processor time, and its bytes."""

    seconds: float
    cpu: float
    uss: int


@dataclass(frozen=True)
class Costs:
    """pairs: one a round. parts: (seconds, USS in bytes) after each of PARTS, once. libraries: that a worker holds."""

    pairs: Sequence[tuple[Start, Plain]]
    parts: Sequence[tuple[float, int]]
    libraries: Sequence[str]

    @property
    def ratios(self) -> list[float]:
        return [start.seconds / plain.seconds for start, plain in self.pairs]
