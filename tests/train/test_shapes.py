"""Composed pictures: what is drawn is what is annotated."""

import numpy as np
import pytest
import torch

from train.photographs import HELD_OUT, TRAINING
from train.shape_pictures import ShapePictures, compose
from train.shapes import SHAPES, area, coverage, outline, place


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_measures_the_area_of_the_outline(shape: str) -> None:
    rng = np.random.default_rng(0)
    points = place(outline(shape, rng), (100.0, 100.0), 60.0, rng)
    covered = coverage(points, (0, 0, 200, 200))
    assert covered.min() >= 0
    assert covered.max() <= 1
    assert covered.sum() == pytest.approx(area(points), rel=0.01)


def test_boxes_are_tight_around_the_visible_part() -> None:
    for seed in range(20):
        picture = compose(np.random.default_rng(seed), TRAINING, (200, 260))
        for box, label in zip(picture.boxes.astype(int), picture.labels, strict=True):
            x1, y1, x2, y2 = box
            inside = picture.label_map_HW[y1:y2, x1:x2] == label
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
        assert set(np.unique(picture.label_map_HW)) - {0} == set(picture.labels.tolist())


def test_an_index_is_always_the_same_picture() -> None:
    one, other = ShapePictures("training", 5, seed=1)[3], ShapePictures("training", 50, seed=1)[3]
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1]["boxes"], other[1]["boxes"])
    assert one[0].shape != ShapePictures("training", 5, seed=2)[3][0].shape


def test_held_out_pictures_share_no_photograph() -> None:
    assert not set(TRAINING) & set(HELD_OUT)


def test_all_classes_occur_about_equally() -> None:
    pictures = ShapePictures("training", 150)
    labels = torch.cat([pictures[index][1]["labels"] for index in range(150)])
    counts = torch.bincount(labels, minlength=6)[1:]
    assert counts.min() > 0.6 * counts.max()
