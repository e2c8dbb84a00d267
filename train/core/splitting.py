"""Holds out a part of a data set from training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def hold_out(items: Sequence[T], share: float, seed: int) -> tuple[list[T], list[T]]:
    """(training items, held-out items), each in the original order. At least one item is held out.

    share: of the items to hold out, from 0 to 1. The same seed and number of items hold out the same positions.
    """
    order = np.random.default_rng(seed).permutation(len(items))
    drawn = set(order[: max(1, round(share * len(items)))].tolist())
    training = [item for index, item in enumerate(items) if index not in drawn]
    return training, [item for index, item in enumerate(items) if index in drawn]
