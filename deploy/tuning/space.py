"""The candidates for a machine: a coarse grid, and the neighbours of each candidate."""

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
# For archives with the option `decode`. "gpu" is left out, because it may change the answers.
DECODERS = ("auto", "cpu")


@dataclass(frozen=True)
class Space:
    """cores, gpus: of the machine. backends, decoders: of the archive; decoders is [""] without a choice."""

    cores: int
    gpus: int
    backends: Sequence[str]
    decoders: Sequence[str] = ("",)

    def layouts(self) -> list[tuple[int, int]]:
        """(workers, threads of each): on a CPU they share the cores, from one worker per core to one with all cores.

        On a GPU, the workers per GPU have one thread each, or their share of the cores, for decoding.
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
            for backend in (["torch"] if self.gpus else self.backends)  # the ONNX graph is for CPUs
            for workers, threads in self.layouts()
            for size in (SIZES_ON_GPU if self.gpus else SIZES)
            for decode in (self.decoders if self.gpus else [""])
            if decode != "cpu" or threads > 1 or self.cores == 1  # one thread cannot keep a GPU busy
        ]

    def neighbours(self, best: Candidate) -> list[Candidate]:
        """Half and double the batch, the next delays, one worker more or less; on a GPU half and double the threads."""
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
    """The shortest delay with which TorchServe fills a batch of `size`."""
    return DELAYS[size > UNWAITED]
