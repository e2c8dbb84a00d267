"""The directory of tags that TIFF files and EXIF blocks begin with (TIFF 6.0, section 2), and the orientation in it."""

from __future__ import annotations

from dataclasses import dataclass
from struct import error, unpack_from

from handlers.vision.formats.header import UPRIGHT

ORIENTATION = 0x0112
BYTE, SHORT, LONG = 1, 3, 4
LETTERS = {BYTE: "B", SHORT: "H", LONG: "I"}
ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


@dataclass(frozen=True)
class Entry:
    """kind: type of the values. place: where in the block the entry itself is, 12 bytes."""

    kind: int
    count: int
    place: int


def read_directory(block: bytes) -> tuple[str, dict[int, Entry]]:
    """The byte order, as struct writes it, and by tag the first entry each; nothing of a broken block."""
    order = ORDERS.get(block[:4], "")
    entries: dict[int, Entry] = {}
    if not order:
        return order, entries
    try:
        (start,) = unpack_from(order + "I", block, 4)
        (number,) = unpack_from(order + "H", block, start)
        for place in range(start + 2, start + 2 + 12 * number, 12):
            tag, kind, count = unpack_from(order + "HHI", block, place)
            entries.setdefault(tag, Entry(kind, count, place))
    except error:
        return order, {}
    return order, entries


def numbers(block: bytes, order: str, entry: Entry) -> tuple[int, ...]:
    """The values of an entry of whole numbers; struct.error where they are not in the block or of another type."""
    letter = LETTERS.get(entry.kind)
    if letter is None:
        raise error(f"type {entry.kind}")
    form = f"{order}{entry.count}{letter}"
    size = entry.count * {BYTE: 1, SHORT: 2, LONG: 4}[entry.kind]
    start = entry.place + 8
    if size > 4:
        (start,) = unpack_from(order + "I", block, start)
    if start + size > len(block):
        raise error("values beyond the end")
    return unpack_from(form, block, start)


def orientation(block: bytes) -> int:
    """Of an EXIF block, 1 to 8. Upright where anything about it is odd: nothing else of the block is read."""
    order, entries = read_directory(block.removeprefix(b"Exif\0\0"))
    entry = entries.get(ORIENTATION)
    if entry is None or entry.kind != SHORT or entry.count != 1:
        return UPRIGHT
    (value,) = numbers(block.removeprefix(b"Exif\0\0"), order, entry)
    return value if 1 <= value <= 8 else UPRIGHT
