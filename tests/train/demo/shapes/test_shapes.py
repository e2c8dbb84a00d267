"""Composed images: what is drawn is what is annotated."""

import numpy as np
import pytest

from train.demo.shapes.images import compose, composed
from train.demo.shapes.photographs import HELD_OUT, TRAINING
from train.demo.shapes.shapes import SHAPES, area, coverage, outline, place


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
        image = compose(np.random.default_rng(seed), TRAINING, (200, 260))
        for box, label in zip(image.boxes.astype(int), image.labels, strict=True):
            x1, y1, x2, y2 = box
            inside = image.label_map_HW[y1:y2, x1:x2] == label
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
        assert set(np.unique(image.label_map_HW)) - {0} == set(image.labels.tolist())


def test_a_position_is_always_the_same_image() -> None:
    one, again = composed("training", 3, seed=1), composed("training", 3, seed=1)
    np.testing.assert_array_equal(one.image_HWC, again.image_HWC)
    np.testing.assert_array_equal(one.boxes, again.boxes)
    assert one.image_HWC.shape != composed("training", 3, seed=2).image_HWC.shape
    assert one.image_HWC.shape != composed("validation", 3, seed=1).image_HWC.shape


def test_held_out_images_share_no_photograph() -> None:
    assert not set(TRAINING) & set(HELD_OUT)


def test_all_classes_occur_about_equally() -> None:
    labels = np.concatenate([composed("training", index).labels for index in range(150)])
    counts = np.bincount(labels, minlength=6)[1:]
    assert counts.min() > 0.6 * counts.max()
