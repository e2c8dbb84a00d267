"""Attributions added up over the cells of a grid, so that an answer stays small and its sum the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def summed(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """(h, w) → (rows, columns), or fewer if there are fewer: the sum of the numbers in each cell."""
    for axis, cells in enumerate((rows, columns)):
        size = values.shape[axis]
        if cells < size:
            starts = np.arange(cells) * size // cells
            values = np.add.reduceat(values, starts, axis=axis)
    return values


def averaged(values: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """(n,) → (cells,): the means of the same cells."""
    counts = summed(np.ones((1, len(values)), np.float32), 1, cells)
    return (summed(values[None], 1, cells) / counts)[0]
