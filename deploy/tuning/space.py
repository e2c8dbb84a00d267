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
# Of an archive with the option `decode`. Not "gpu", which decodes there whatever it does to the answers.
DECODERS = ("auto", "cpu")


@dataclass(frozen=True)
class Space:
    """cores, gpus: of the machine. backends, decoders: of the archive; of the latter [""] where it has no choice."""

    cores: int
    gpus: int
    backends: Sequence[str]
    decoders: Sequence[str] = ("",)

    def layouts(self) -> list[tuple[int, int]]:
        """(workers, threads of each): on a CPU they share the cores out, from a worker a core to one with all.

        On a GPU, workers on each, with a thread or with their share of the cores, which decodes.
        """
        if self.gpus:
            shares = [(workers, self.cores // (workers * self.gpus)) for workers in WORKERS_ON_GPU]
            return sorted({(workers, threads) for workers, share in shares for threads in (1, max(1, share))})
        found = [(self.cores, 1)]
        while found[-1][0] > 1:
            workers = found[-1][0] // 2
            found.append((workers, self.cores // workers))
        return found

    def grid(self) -> list[Candidate]:
        return [
            Candidate(backend, workers, threads, size, least_delay(size), decode)
            for backend in (["torch"] if self.gpus else self.backends)  # the graph is for CPUs
            for workers, threads in self.layouts()
            for size in (SIZES_ON_GPU if self.gpus else SIZES)
            for decode in (self.decoders if self.gpus else [""])
            if decode != "cpu" or threads > 1 or self.cores == 1  # one thread cannot keep a GPU busy
        ]

    def neighbours(self, best: Candidate) -> list[Candidate]:
        """Half and twice the batch, the next delays, a worker more or less, on a GPU half and twice the threads."""
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
        if self.gpus:
            threads = {best.threads // 2, best.threads * 2} & set(range(1, self.cores + 1))
            found += [replace(best, threads=number) for number in sorted(threads)]
        return found


def least_delay(size: int) -> int:
    """The shortest with which TorchServe fills a batch of `size`."""
    return DELAYS[size > UNWAITED]
