"""COCO masks, polygons or run lengths, checked before pycocotools' C code sees them.

pycocotools 2.0 trusts what it is given: run lengths that do not fill the image come back as whatever lay in memory,
or corrupt it, and a corner far away makes it allocate every point on the way.
"""

from __future__ import annotations

import math
from typing import Any

from pycocotools import mask as coco_mask

Rle = dict[str, Any]


class InvalidMask(ValueError):
    """A segmentation that is not a mask of its image; the message says why."""


def read_mask(segmentation: Any, height: int, width: int) -> Rle:
    """Polygons, run lengths or compressed run lengths as {"size": [height, width], "counts": compressed bytes}.

    Raises InvalidMask when it is none of these, is not of this size, or is empty.
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
        # Four numbers, a polygon of two corners, would be a box to pycocotools.
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2 or not all(map(is_finite, polygon)):
            raise InvalidMask("polygon is not x, y of three corners or more")
        if not all(-width <= x <= 2 * width for x in polygon[::2]):
            raise InvalidMask("polygon lies far outside the image")
        if not all(-height <= y <= 2 * height for y in polygon[1::2]):
            raise InvalidMask("polygon lies far outside the image")
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))


def from_runs(segmentation: dict[str, Any], height: int, width: int) -> Rle:
    if segmentation.get("size") != [height, width]:
        raise InvalidMask("run lengths are of another size than the image")
    counts = segmentation.get("counts")
    runs = decompress(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(n, int) and n >= 0 for n in runs):
        raise InvalidMask("run lengths are not counts of pixels")
    if sum(runs) != height * width:
        raise InvalidMask("run lengths do not fill the image")
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)


def decompress(text: str) -> list[int]:
    """Run lengths out of COCO's compressed text: little-endian groups of five bits, 48 added to each.

    Bit 5 says that another group follows, bit 4 of the last is the sign; from the third on a number is the
    difference to the one two before it (pycocotools' maskApi.c). Raises InvalidMask where the text breaks off.
    """
    runs: list[int] = []
    number, shift = 0, 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise InvalidMask("run lengths are not COCO's compressed text")
        number |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                number -= 1 << shift
            runs.append(number + runs[-2] if len(runs) > 2 else number)
            number, shift = 0, 0
    if shift:
        raise InvalidMask("run lengths break off")
    return runs


def is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
