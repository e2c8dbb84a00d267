"""Load from several processes: one can send a few thousand requests per second, and a GPU answers more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from types import TracebackType
from typing import TypeVar

from deploy.tuning.rest_load import Target, closed_loop, open_loop
from deploy.tuning.sample import Sample

Share = TypeVar("Share")


class LoadProcesses:
    """A context manager. count: number of processes, this one included."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pool = ProcessPoolExecutor(count, get_context("spawn")) if count > 1 else None

    def __enter__(self) -> LoadProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def closed_loop(
        self, target: Target, bodies: Sequence[bytes], concurrency: int, seconds: float, warm_up: float
    ) -> Sample:
        """`rest_load.closed_loop`, with `concurrency` requests at once in total."""
        return self.together(partial(closed_loop, target, bodies, seconds=seconds, warm_up=warm_up), concurrency)

    def open_loop(self, target: Target, bodies: Sequence[bytes], rate: float, seconds: float) -> Sample:
        """`rest_load.open_loop`, with `rate` requests per second in total."""
        each = rate / self.count
        return self.run(partial(open_loop, target, bodies, seconds=seconds), [each] * self.count)

    def together(self, load: Callable[[int], Sample], concurrency: int) -> Sample:
        """load: called in each process with its part of `concurrency`."""
        shares = [(concurrency + number) // self.count for number in range(self.count)]
        return self.run(load, [share for share in shares if share])

    def run(self, load: Callable[[Share], Sample], shares: Sequence[Share]) -> Sample:
        if self.pool is None:
            return load(shares[0])
        samples = [future.result() for future in [self.pool.submit(load, share) for share in shares]]
        replies = [reply for sample in samples for reply in sample.replies]
        return Sample(replies, max(sample.seconds for sample in samples))


def processes_for(cores: int, gpus: int) -> int:
    """A quarter of the cores, at most eight, if GPUs compute; one if the model needs the cores itself."""
    return max(1, min(8, cores // 4)) if gpus else 1
