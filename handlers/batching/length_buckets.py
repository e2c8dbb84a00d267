"""Which items of a batch are padded together: those of like length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

SHORTEST = 16  # tokens; below it a longer padding costs less than another run of the model


def length_buckets(lengths: Sequence[int]) -> list[list[int]]:
    """The indices of `lengths` in groups, shortest first; each group is padded to the longest of its own.

    A bucket ends at a power of two, so at most half of what the model computes is padding, whatever shares the batch.
    """
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        buckets[bucket_end(length)].append(index)
    return [buckets[end] for end in sorted(buckets)]


def bucket_end(length: int) -> int:
    """The length up to which items share the bucket of `length`."""
    return max(SHORTEST, 1 << (length - 1).bit_length())


def bucket_ends(longest: int) -> list[int]:
    """All of them, the last cut to `longest`."""
    ends = [SHORTEST]
    while ends[-1] < longest:
        ends.append(2 * ends[-1])
    return [*ends[:-1], min(ends[-1], longest)]
