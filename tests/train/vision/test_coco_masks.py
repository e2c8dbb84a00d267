"""Masks of COCO files, against pycocotools."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from train.vision.coco_masks import InvalidMask, read_mask


def test_three_ways_to_write_a_mask_are_one() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 5:25] = 1
    polygon = [[5, 10, 25, 10, 25, 30, 5, 30]]
    compressed = coco_mask.encode(np.asfortranarray(mask))
    runs = [5 * 40 + 10, *[20, 20] * 19, 20, 40 * 60 - (5 * 40 + 10 + 40 * 19 + 20)]
    for segmentation in (
        polygon,
        {"size": [40, 60], "counts": compressed["counts"].decode()},
        {"size": [40, 60], "counts": runs},
    ):
        np.testing.assert_array_equal(coco_mask.decode(read_mask(segmentation, 40, 60)), mask)


def test_compressed_run_lengths_of_random_masks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = (int(n) for n in rng.integers(1, 80, 2))
        mask = (rng.random((height, width)) < rng.random()).astype(np.uint8)
        mask[0, 0] = 1
        encoded = coco_mask.encode(np.asfortranarray(mask))
        read_back = read_mask({"size": [height, width], "counts": encoded["counts"].decode()}, height, width)
        np.testing.assert_array_equal(coco_mask.decode(read_back), mask)


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        (None, "no segmentation"),
        ([], "no segmentation"),
        ("mask", "neither polygons nor run lengths"),
        ([[1, 1, 5, 5]], "three or more corners"),
        ([[1, 1, 5, 5, 9]], "three or more corners"),
        ([[1, 1, 5, float("nan"), 9, 9]], "three or more corners"),
        ([[1, 1, 5, 1e9, 9, 9]], "far outside"),
        ([[2, 2, 2, 2, 2, 2]], "empty"),
        ({"size": [10, 12], "counts": [120]}, "another size"),
        ({"size": [10, 10], "counts": [100]}, "empty"),
        ({"size": [10, 10], "counts": [50, 20]}, "do not fill"),
        ({"size": [10, 10], "counts": [50, -20, 70]}, "not counts"),
        ({"size": [10, 10], "counts": "0"}, "do not fill"),
        ({"size": [10, 10], "counts": "PPPP"}, "are truncated"),
        ({"size": [10, 10], "counts": "é"}, "not COCO's"),
        ({"size": [10, 10]}, "not counts"),
    ],
)
def test_what_is_no_mask(segmentation: Any, said: str) -> None:
    with pytest.raises(InvalidMask, match=said):
        read_mask(segmentation, 10, 10)


def test_hostile_run_lengths_never_reach_the_decoder() -> None:
    """Random text is refused, or is a mask of the size; given to pycocotools, some of these abort the process."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        text = bytes(rng.integers(48, 112, rng.integers(1, 12)).astype(np.uint8)).decode()
        try:
            mask = read_mask({"size": [3, 3], "counts": text}, 3, 3)
        except InvalidMask:
            continue
        assert coco_mask.decode(mask).shape == (3, 3)
