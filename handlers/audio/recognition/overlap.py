"""Texts of overlapping windows, joined where they say the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def joint(left: Sequence[int], right: Sequence[int]) -> tuple[int, int]:
    """(a, b), so that left[:a] + right[b:] is the text of two windows, of which neither is empty.

    The overlap is the length at which most tokens of the end of one and the beginning of the other are equal, as a
    share, with a ten-thousandth for each token so that of equal shares the longest counts; two tokens have to be equal.
    In its middle one text ends and the other begins. It is the rule of transformers' speech recognition pipeline.
    """
    count, total = len(left), len(left) + len(right)
    places = np.nonzero(np.equal.outer(left, right))
    equal = np.bincount(count - places[0] + places[1], minlength=total)[1:]
    lengths = np.arange(1, total)
    scores = np.where(equal > 1, equal / lengths + lengths / 10_000, 0.0)
    if not scores.any():
        return count, 0
    length = int(scores.argmax()) + 1
    start, stop = max(0, count - length), min(count, total - length)
    other_start, other_stop = max(0, length - count), min(len(right), length)
    return (start + stop) // 2, (other_start + other_stop) // 2


def settled_tokens(texts: Sequence[Sequence[int]]) -> list[int]:
    """Those tokens of the joined texts that a further text cannot take away."""
    settled: list[int] = []
    last: Sequence[int] = []
    for text in texts:
        if not text:
            continue
        if last:
            end, start = joint(last, text)
            settled += last[:end]
            last = text[start:]
        else:
            last = text
    return settled
