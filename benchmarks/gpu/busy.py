"""How busy a GPU is while something is measured."""

from __future__ import annotations

import threading
from statistics import mean
from types import TracebackType

import torch

INTERVAL = 0.1  # seconds; the driver's own figure covers a sixth of a second and more


class Busy:
    """A context manager. share: of the time in which the GPU ran anything, 0 to 1. memory: bytes in use, at most.

    Both are NaN without a GPU. after: seconds that do not count, of a warm-up.
    """

    def __init__(self, device: int = 0, after: float = 0.0) -> None:
        self.device, self.after = device, after
        self.shares: list[float] = []
        self.memories: list[float] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def __enter__(self) -> Busy:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()

    def watch(self) -> None:
        if not torch.cuda.is_available() or self.over.wait(self.after):
            return
        while not self.over.wait(INTERVAL):
            self.shares.append(torch.cuda.utilization(self.device) / 100)
            self.memories.append(float(torch.cuda.device_memory_used(self.device)))

    @property
    def share(self) -> float:
        return mean(self.shares) if self.shares else float("nan")

    @property
    def memory(self) -> float:
        return max(self.memories, default=float("nan"))
