"""Batches of any size through runs of a few fixed sizes: filled up, split, and the filling cut off again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
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
        return joined([self.run(part) for part in batch.split(self.sizes[-1])])

    def run(self, part: Tensor) -> tuple[Tensor, ...]:
        """In the smallest bucket it fits into."""
        return self.buckets[bisect_left(self.sizes, len(part))](part)

    def __str__(self) -> str:
        return f"batches of {', '.join(map(str, self.sizes))}"


class LazyBuckets:
    """A function of batches of items of a few lengths: a bucket for each number and length, made when one first comes.

    Not for several threads at once, either.
    """

    def __init__(
        self, lengths: Collection[int], largest: int, make: Callable[[Tensor], Bucket | None], otherwise: Function
    ) -> None:
        """lengths: of an item's last dimension. largest: batch. make: a batch → the bucket of its shape, None where
        there can be none. otherwise: the same function for what no bucket takes."""
        self.lengths = set(lengths)
        self.sizes = bucket_sizes(largest)
        self.make, self.otherwise = make, otherwise
        self.buckets: dict[tuple[int, ...], Bucket | None] = {}

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        if not len(batch) or batch.shape[-1] not in self.lengths:
            return self.otherwise(batch)
        return joined([self.run(part) for part in batch.split(self.sizes[-1])])

    def run(self, part: Tensor) -> tuple[Tensor, ...]:
        size = self.sizes[bisect_left(self.sizes, len(part))]
        shape = (size, *part.shape[1:])
        if shape not in self.buckets:
            filled = torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])])
            self.buckets[shape] = self.make(filled)
        bucket = self.buckets[shape]
        return self.otherwise(part) if bucket is None else bucket(part)

    def __str__(self) -> str:
        made = [shape for shape, bucket in self.buckets.items() if bucket is not None]
        lengths = ", ".join(map(str, sorted({shape[-1] for shape in made}))) or "none yet"
        return f"batches of up to {self.sizes[-1]}, made when they first come; of lengths {lengths}"


def joined(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return parts[0] if len(parts) == 1 else tuple(torch.cat(same) for same in zip(*parts, strict=True))
