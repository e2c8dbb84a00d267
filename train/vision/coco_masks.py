"""COCO masks, given as polygons or run lengths, checked before they reach pycocotools' C code.

pycocotools 2.0 does not validate its input: run lengths that do not fill the image return uninitialised memory or
corrupt it, and for a distant polygon corner it allocates every point on the way.
"""

from __future__ import annotations

from typing import Any

from pycocotools import mask as coco_mask

Rle = dict[str, Any]
MAX_BITS = 60  # of a run's length
MAX_NUMBER = 1e12  # more than the pixels of any image


class InvalidMask(ValueError):
    """A segmentation that is not a valid mask of its image; the message gives the reason."""


def read_mask(segmentation: Any, height: int, width: int) -> Rle:
    """Convert polygons or run lengths, compressed or not, to {"size": [height, width], "counts": compressed bytes}.

    Raises InvalidMask if it is none of these, has another size, or is empty.
    """
    if not segmentation:
        raise InvalidMask("no segmentation")
    if isinstance(segmentation, list):
        rle = from_polygons(segmentation, height, width)
    elif isinstance(segmentation, dict):
        rle = from_runs(segmentation, height, width)
    else:
        raise InvalidMask("segmentation is neither polygons nor run lengths")
    if coco_mask.area(rle) == 0:
        raise InvalidMask("mask is empty")
    return rle


def from_polygons(polygons: list[Any], height: int, width: int) -> Rle:
    for polygon in polygons:
        # pycocotools would take four numbers, a polygon with two corners, for a box.
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2 or not all(map(is_finite, polygon)):
            raise InvalidMask("polygon is not a list of x, y of three or more corners")
        if not all(-width <= x <= 2 * width for x in polygon[::2]):
            raise InvalidMask("polygon lies far outside the image")
        if not all(-height <= y <= 2 * height for y in polygon[1::2]):
            raise InvalidMask("polygon lies far outside the image")
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))


def from_runs(segmentation: dict[str, Any], height: int, width: int) -> Rle:
    if segmentation.get("size") != [height, width]:
        raise InvalidMask("run lengths have another size than the image")
    counts = segmentation.get("counts")
    runs = decompress(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(n, int) and n >= 0 for n in runs):
        raise InvalidMask("run lengths are not counts of pixels")
    if sum(runs) != height * width:
        raise InvalidMask("run lengths do not fill the image")
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)


def decompress(text: str) -> list[int]:
    """Decode COCO's compressed run lengths: little-endian groups of five bits, each plus 48.

    Bit 5 means that another group follows, and bit 4 of the last group is the sign. From the third on, each number is
    the difference from the second to last one before it (pycocotools' maskApi.c). Raises InvalidMask for truncated
    text.
    """
    runs: list[int] = []
    number, shift = 0, 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise InvalidMask("run lengths are not COCO's compressed text")
        if shift > MAX_BITS:
            raise InvalidMask("run lengths do not fill the image")
        number |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                number -= 1 << shift
            runs.append(number + runs[-2] if len(runs) > 2 else number)
            number, shift = 0, 0
    if shift:
        raise InvalidMask("run lengths are truncated")
    return runs


def is_finite(value: Any) -> bool:
    """Whether a value of JSON is a number that may be one of pixels; integers can have any number of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_NUMBER < value < MAX_NUMBER
