"""The header of a safetensors file: 8 bytes of length, then JSON with each tensor's type, shape and place.

https://github.com/huggingface/safetensors describes it. The library checks it as well, but its messages about broken
files are for its authors, and the archiver has no torch to load one with.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from handlers.formats import json_file, zip_file
from handlers.formats.errors import UnsafeFile

MAX_HEADER_BYTES = 100_000_000  # the library's own limit
ITEM_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **{"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}


def check(path: Path) -> None:
    header(path)


def header(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, by its name. Raises UnsafeFile if the file is not as its header says."""
    return {name: tuple(entry["shape"]) for name, entry in entries(path)[0].items()}


def places(path: Path) -> dict[str, tuple[int, int]]:
    """Where each tensor's bytes begin and end in the file, by its name. Raises UnsafeFile as `header` does."""
    tensors, start = entries(path)
    offsets = {name: entry["data_offsets"] for name, entry in tensors.items()}
    return {name: (start + begin, start + end) for name, (begin, end) in offsets.items()}


def entries(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The header's entries, checked, and the offset in the file at which the tensors start."""
    try:
        zip_file.check_file(path)
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = path.stat().st_size
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise UnsafeFile("is not safetensors: its header is longer than the file, or missing")
            values = json_file.loads(file.read(length), "its header")
    except OSError as error:
        raise UnsafeFile(f"cannot be read: {zip_file.reason(error)}") from None
    if not isinstance(values, dict):
        raise UnsafeFile("is not safetensors: its header is not an object")
    values.pop("__metadata__", None)
    for name, entry in values.items():
        check_entry(name, entry, size - 8 - length)
    return values, 8 + length


def check_entry(name: str, entry: Any, available: int) -> None:
    """Raise UnsafeFile if an entry does not fit the file. available: bytes after the header."""
    try:
        sizes, (begin, end), bits = entry["shape"], entry["data_offsets"], ITEM_BITS[entry["dtype"]]
        natural = all(type(size) is int and size >= 0 for size in (*sizes, begin, end))
        fits = natural and begin <= end and (end - begin) * 8 == math.prod(sizes) * bits
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise UnsafeFile(f"is not safetensors: the entry {name[:80]!r} of its header does not fit its data")
    if end > available:
        raise UnsafeFile(f"is cut off: {name[:80]!r} ends {end - available} bytes after the end of the file")
