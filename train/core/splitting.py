"""The part of a data set that is kept from training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def hold_out(items: Sequence[T], part: float, seed: int) -> tuple[list[T], list[T]]:
    """(for training, held out), each in its old order; the same seed holds out the same items, at least one."""
    order = np.random.default_rng(seed).permutation(len(items))
    kept = set(order[: max(1, round(part * len(items)))].tolist())
    training = [item for index, item in enumerate(items) if index not in kept]
    return training, [item for index, item in enumerate(items) if index in kept]
