"""Observations as a request holds them: checked to the last number, and what is wrong named with its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.errors import InvalidInput, shown

NUMBERS = "iuf"


def observations_in(
    data: Any, shape: tuple[int, ...], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One observation of `shape`, or several of them (N, *shape), as float32.

    low, high: inclusive bounds of `shape`, finite: float32's own where there are no others.
    Raises InvalidInput for another shape, and for a value that is not a number, not finite or out of bounds, with its
    position and value.
    """
    if not isinstance(data, (list, np.ndarray)):
        raise InvalidInput("the data is not a list of numbers")
    try:
        read = np.array(data)
    except (TypeError, ValueError, OverflowError):  # ragged, or nested deeper than an array can be
        raise InvalidInput(wrong_shape(None, shape)) from None
    if read.shape != shape and (read.ndim != len(shape) + 1 or read.shape[1:] != shape or not len(read)):
        raise InvalidInput(wrong_shape(read.shape, shape))
    if read.dtype.kind not in NUMBERS:
        check_numbers(data, read.shape)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and that is refused below
        values = read.astype(np.float32)
    inside = (values >= low) & (values <= high)  # which neither NaN nor an infinity is
    if not inside.all():
        refuse(~np.isfinite(values), data, "a finite 32-bit number")
        of_one = first(~inside)[values.ndim - len(shape) :]
        refuse(~inside, data, f"{low[of_one]:g} to {high[of_one]:g}")
    return values


def check_numbers(data: Any, shape: tuple[int, ...]) -> None:
    """InvalidInput for the first element that is not a number: a string, null, true."""
    for place in np.ndindex(shape):
        value = at(data, place)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidInput(f"observation{written(place)}: got {shown(value)}, wanted a number")


def refuse(wrong: NDArray[np.bool_], data: Any, wanted: str) -> None:
    """InvalidInput for the first wrong element, if there is one."""
    if wrong.any():
        place = first(wrong)
        raise InvalidInput(f"observation{written(place)}: got {shown(at(data, place))}, wanted {wanted}")


def first(wrong: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(wrong)[0])


def at(data: Any, place: tuple[int, ...]) -> Any:
    for index in place:
        data = data[index]
    return data.item() if isinstance(data, np.generic) else data


def written(place: tuple[int, ...]) -> str:
    """`(1, 3)` → `"[1][3]"`."""
    return "".join(f"[{index}]" for index in place)


def wrong_shape(found: tuple[int, ...] | None, shape: tuple[int, ...]) -> str:
    if found is None:
        got = "is ragged"
    elif len(found) > len(shape) + 2:
        got = f"has {len(found)} dimensions"
    else:
        got = f"has shape {list(found)}"
    several = ", ".join(["N", *map(str, shape)])
    return f"the observation {got}; wanted {list(shape)}, or [{several}] for several"
