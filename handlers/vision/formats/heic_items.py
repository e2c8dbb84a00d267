"""The items of a HEIC file, read before anything is decoded: which ones the image is made of, and their pixels.

The boxes are those of ISO/IEC 14496-12 (meta, pitm, iinf, iref) and ISO/IEC 23008-12 (ipco, ispe, ipma, grid, auxl).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from struct import error, unpack_from

from handlers.errors import MalformedInput, TooLarge, UnsupportedMedia

# A phone's photograph has four boxes before its pixels, and ten kilobytes of meta data, with a colour profile more.
MAX_BOXES, MAX_META = 100, 1 << 20
CODED, GRID = b"hvc1", b"grid"
# Tiles stand over the image's edges, and opacity, depth and brightness are images beside it. A file can also hold tiles
# of which the image shows nothing, and they are decoded all the same.
MAX_RATIO, SPARE_PIXELS = 4, 1 << 22


@dataclass
class Items:
    """kinds, pixels: by an item's number. parts: by the same, the items that are decoded with it."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    pixels: dict[int, int] = field(default_factory=dict)
    parts: dict[int, list[int]] = field(default_factory=dict)

    def of_image(self) -> set[int]:
        """All that is decoded for the image."""
        found: set[int] = set()
        todo = [self.primary]
        while todo:
            item = todo.pop()
            if item not in found:
                found.add(item)
                todo += self.parts.get(item, [])
        return found


def check(data: bytes) -> None:
    """Raises MalformedInput for broken boxes, UnsupportedMedia for an image that is not HEVC or a grid of it, TooLarge
    for one whose parts have far more pixels than it has."""
    try:
        items = read(data)
    except (error, IndexError):
        raise MalformedInput("the HEIC's boxes are broken or cut off") from None
    whole = items.of_image()
    foreign = sorted({items.kinds.get(item, b"") for item in whole} - {CODED, GRID})
    if foreign:
        name = foreign[0].decode("ascii", "replace")
        raise UnsupportedMedia(f"the HEIC's image is made of items of type {name!r}; wanted HEVC, or a grid of it")
    size = items.pixels.get(items.primary, 0)
    coded = sum(items.pixels.get(item, 0) for item in whole if items.kinds[item] == CODED)
    if coded > MAX_RATIO * size + SPARE_PIXELS:
        raise TooLarge(f"the HEIC's parts have {coded} pixels, for an image of {size}")


def read(data: bytes) -> Items:
    """struct.error or IndexError for boxes that are cut off; no primary item where the file has no meta box."""
    items = Items()
    meta = next((box for box in islice(boxes(data, 0, len(data)), MAX_BOXES) if box[0] == b"meta"), None)
    if meta is None:
        return items
    _, start, end = meta
    if end - start > MAX_META:
        raise TooLarge(f"the HEIC's meta data have {end - start} bytes, the limit is {MAX_META}")
    for kind, begin, stop in boxes(data, start + 4, end):
        number = ">I" if data[begin] else ">H"  # of an item, or of items, in a box of version 0 or a later one
        match kind:
            case b"pitm":
                (items.primary,) = unpack_from(number, data, begin + 4)
            case b"iinf":
                for _, entry, _ in boxes(data, begin + 4 + width(number), stop):
                    wide = ">I" if data[entry] > 2 else ">H"
                    (item,) = unpack_from(wide, data, entry + 4)
                    items.kinds[item] = data[entry + 6 + width(wide) : entry + 10 + width(wide)]
            case b"iref":
                for relation, entry, _ in boxes(data, begin + 4, stop):
                    if relation in (b"dimg", b"auxl"):
                        relate(items, relation, references(data, entry, number))
            case b"iprp":
                items.pixels = sizes(data, begin, stop)
    return items


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, begin, end) of the content of each box; struct.error for one that does not fit."""
    while start < end:
        size, kind = unpack_from(">I4s", data, start)
        begin = start + 8
        if size == 1:
            (size,) = unpack_from(">Q", data, begin)
            begin += 8
        stop = start + size if size else end
        if not begin <= stop <= end:
            raise error("a box that is longer than what it is in")
        yield kind, begin, stop
        start = stop


def references(data: bytes, start: int, number: str) -> tuple[int, ...]:
    """An item, and those that it refers to."""
    after = start + width(number)
    (count,) = unpack_from(">H", data, after)
    return unpack_from(number, data, start) + unpack_from(f">{count}{number[1]}", data, after + 2)


def relate(items: Items, relation: bytes, numbers: tuple[int, ...]) -> None:
    """A derived image is made of those it refers to; an auxiliary image refers to the one that it belongs to."""
    one, *others = numbers
    pairs = [(one, other) if relation == b"dimg" else (other, one) for other in others]
    for whole, part in pairs:
        items.parts.setdefault(whole, []).append(part)


def sizes(data: bytes, start: int, end: int) -> dict[int, int]:
    """Width × height of each item, by the properties associated with it."""
    areas: list[int] = []
    found: dict[int, int] = {}
    for kind, begin, stop in boxes(data, start, end):
        if kind == b"ipco":
            for name, place, _ in boxes(data, begin, stop):
                width_, height = unpack_from(">II", data, place + 4) if name == b"ispe" else (0, 0)
                areas.append(width_ * height)
        elif kind == b"ipma":
            for item, indices in associations(data, begin):
                found[item] = max([found.get(item, 0), *(areas[i - 1] for i in indices if 0 < i <= len(areas))])
    return found


def associations(data: bytes, start: int) -> Iterator[tuple[int, list[int]]]:
    """(item, the numbers of its properties) of an ipma box."""
    version, wide = data[start], data[start + 3] & 1
    (count,) = unpack_from(">I", data, start + 4)
    place, number = start + 8, ">I" if version else ">H"
    for _ in range(count):
        (item,) = unpack_from(number, data, place)
        place += width(number)
        length = data[place]
        listed = unpack_from(f">{length}{'H' if wide else 'B'}", data, place + 1)
        place += 1 + length * (2 if wide else 1)
        yield item, [each & (0x7FFF if wide else 0x7F) for each in listed]


def width(number: str) -> int:
    """Bytes of a number as struct writes its form."""
    return 4 if number == ">I" else 2
