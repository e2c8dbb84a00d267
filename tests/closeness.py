"""When two answers are the same: equal structure and text, numbers to float tolerance, masks by their overlap."""

from typing import Any

import pytest
from pycocotools import mask as coco_mask


def assert_close(got: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys()
        for key in wanted:
            if key == "rle":
                assert overlap(got[key], wanted[key]) > 0.99
            elif key != "area":
                assert_close(got[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_close(one, other)
    elif isinstance(wanted, float):
        assert got == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    else:
        assert got == wanted


def overlap(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Masks of a random model sit at its decision boundary, where rounding moves single pixels."""
    return float(coco_mask.iou([one], [other], [0])[0, 0]) if coco_mask.area(other) else 1.0
