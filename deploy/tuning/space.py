"""The candidates there are on a machine: a coarse grid, and the neighbours of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deploy.serving_plan import UNWAITED
from deploy.tuning.candidate import Candidate

SIZES = (1, 2, 8)
SIZES_ON_GPU = (4, 16, 64)
MOST = 256
DELAYS = (0, 1, 3, 8, 20)  # milliseconds
WORKERS_ON_GPU = (1, 2, 3)


@dataclass(frozen=True)
class Space:
    """cores, gpus: of the machine. backends: of the archive."""

    cores: int
    gpus: int
    backends: Sequence[str]

    def layouts(self) -> list[tuple[int, int]]:
        """(workers, threads of each): on a CPU they share the cores out, from a worker a core to one with all."""
        if self.gpus:
            return [(workers, 1) for workers in WORKERS_ON_GPU]
        found = [(self.cores, 1)]
        while found[-1][0] > 1:
            workers = found[-1][0] // 2
            found.append((workers, self.cores // workers))
        return found

    def grid(self) -> list[Candidate]:
        return [
            Candidate(backend, workers, threads, size, least_delay(size))
            for backend in (["torch"] if self.gpus else self.backends)  # the graph is for CPUs
            for workers, threads in self.layouts()
            for size in (SIZES_ON_GPU if self.gpus else SIZES)
        ]

    def neighbours(self, best: Candidate) -> list[Candidate]:
        """Half and twice the batch, the next delays, a worker more or less; what no grid holds."""
        sizes = {best.size // 2, best.size * 2} & set(range(1, MOST + 1))
        found = [
            replace(best, size=size, delay_ms=max(best.delay_ms, least_delay(size)) if size > 1 else least_delay(size))
            for size in sorted(sizes)
        ]
        if best.size > 1:
            at = DELAYS.index(best.delay_ms)
            found += [
                replace(best, delay_ms=delay)
                for delay in DELAYS[max(0, at - 1) : at + 2]
                if delay != best.delay_ms and delay >= least_delay(best.size)
            ]
        most = 2 * max(WORKERS_ON_GPU) if self.gpus else self.cores // best.threads
        found += [
            replace(best, workers=workers) for workers in (best.workers - 1, best.workers + 1) if 1 <= workers <= most
        ]
        return found


def least_delay(size: int) -> int:
    """The shortest with which TorchServe fills a batch of `size`."""
    return DELAYS[size > UNWAITED]
