"""The protocol's datatypes: elements as JSON has them and as their bytes, little-endian, BYTES after its length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.errors import InvalidInput, MalformedInput, shown

BYTES = "BYTES"
BRAIN_FLOAT = "BF16"  # the upper half of a 32-bit float; numpy has no type for it
NUMPY: Mapping[str, str] = {
    "BOOL": "?",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    BRAIN_FLOAT: "<u2",
}
DATATYPES = (*NUMPY, BYTES)
LENGTH = Struct("<I")
# Types of JSON's values by the first letter of a datatype's name, and how an error names them.
JSON_TYPES: Mapping[str, tuple[set[type], str]] = {
    "BOOL": ({bool}, "true or false"),
    "U": ({int}, "a whole number"),
    "I": ({int}, "a whole number"),
    "F": ({int, float}, "a number"),
    "BF": ({int, float}, "a number"),
    "BYTES": ({str}, "a string"),
}


def json_types(datatype: str) -> tuple[set[type], str]:
    return next(found for start, found in JSON_TYPES.items() if datatype.startswith(start))


def numbers_from_json(values: list[Any], datatype: str, place: str) -> NDArray[Any]:
    """Elements that `check_types` has passed. Raises InvalidInput for a number that the datatype does not hold."""
    kind = "<f4" if datatype == BRAIN_FLOAT else NUMPY[datatype]
    try:
        with np.errstate(over="ignore"):  # what overflows becomes infinite, and that is refused
            found = np.array(values, kind)
    except OverflowError:
        limits = np.iinfo(kind)
        index = next(i for i, value in enumerate(values) if not limits.min <= value <= limits.max)
        raise InvalidInput(
            f"{place}[{index}]: got {shown(values[index])}, wanted {limits.min} to {limits.max} for {datatype}"
        ) from None
    if datatype == BRAIN_FLOAT:
        found = rounded(found)
    check_finite(found, place)
    return found


def numbers_from_bytes(data: memoryview, datatype: str, place: str) -> NDArray[Any]:
    """BF16 as 32-bit floats, which hold the same values. Raises InvalidInput for a number that is not finite."""
    found: NDArray[Any] = np.frombuffer(data, NUMPY[datatype])
    if datatype == BRAIN_FLOAT:
        found = (found.astype("<u4") << 16).view("<f4")
    if datatype == "BOOL":
        found = np.frombuffer(data, np.uint8) != 0  # a byte other than 0 and 1 would be neither
    check_finite(found, place)
    return found


def texts_from_bytes(data: memoryview, count: int, place: str) -> list[bytes]:
    """`count` elements, each after its length. Raises MalformedInput for more or fewer bytes."""
    found = list(split(data))
    if len(found) != count or sum(map(len, found)) + LENGTH.size * count != len(data):
        raise MalformedInput(f"{place}: its {len(data)} bytes are not {count} elements, each after its length")
    return found


def split(data: memoryview) -> Iterator[bytes]:
    position = 0
    while position + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, position)
        position += LENGTH.size + length
        if position > len(data):
            return
        yield bytes(data[position - length : position])


def texts_to_bytes(texts: list[bytes]) -> bytes:
    return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))


def check_types(values: list[Any], datatype: str, place: str) -> None:
    """InvalidInput for the first element that JSON has as another type."""
    allowed, wanted = json_types(datatype)
    if set(map(type, values)) <= allowed:
        return
    index = next(i for i, value in enumerate(values) if type(value) not in allowed)
    raise InvalidInput(f"{place}[{index}]: got {shown(values[index])}, wanted {wanted} for {datatype}")


def check_finite(found: NDArray[Any], place: str) -> None:
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        index = int(np.argmin(np.isfinite(found)))
        raise InvalidInput(f"{place}[{index}]: wanted a finite number")


def rounded(found: NDArray[Any]) -> NDArray[Any]:
    """32-bit floats to the nearest that BF16 holds, of two the even one."""
    bits = found.view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype("<u4").view("<f4")
