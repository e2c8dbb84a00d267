"""Batches of any size through runs of a few fixed sizes: filled up, split, and the filling cut off again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], tuple[Tensor, ...]]


def bucket_sizes(largest: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24 … up to `largest`, which is one of them: at most a third of a run is filling."""
    powers = [1 << power for power in range(largest.bit_length())]
    return sorted({size for power in powers for size in (power, power + power // 2) if size <= largest} | {largest})


@dataclass(frozen=True)
class Bucket:
    """A run of one size over memory that stays where it is.

    inputs: (size, …), what `replay` reads. outputs: (size, …) each, what it writes.
    """

    inputs: Tensor
    outputs: tuple[Tensor, ...]
    replay: Callable[[], None]

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Outputs for a batch of at most the bucket's size, in memory of their own.

        What stands behind the batch is left from earlier ones; it costs time, and its outputs are cut off.
        """
        count = len(batch)
        self.inputs[:count].copy_(batch, non_blocking=True)
        self.replay()
        return tuple(output[:count].clone() for output in self.outputs)


class Buckets:
    """A function of batches of any size, made of buckets.

    Not for several threads at once, since they would share the buckets' memory: a worker predicts in one.
    """

    def __init__(self, buckets: Sequence[Bucket], otherwise: Function) -> None:
        """otherwise: the same function for what no bucket takes: items of another shape or type, no items at all."""
        self.buckets = sorted(buckets, key=lambda bucket: len(bucket.inputs))
        self.sizes = [len(bucket.inputs) for bucket in self.buckets]
        self.otherwise = otherwise

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        wanted = self.buckets[-1].inputs
        if not len(batch) or batch.shape[1:] != wanted.shape[1:] or batch.dtype != wanted.dtype:
            return self.otherwise(batch)
        parts = [self.run(part) for part in batch.split(self.sizes[-1])]
        return parts[0] if len(parts) == 1 else tuple(torch.cat(same) for same in zip(*parts, strict=True))

    def run(self, part: Tensor) -> tuple[Tensor, ...]:
        """In the smallest bucket it fits into."""
        return self.buckets[bisect_left(self.sizes, len(part))](part)
