"""COCO files that somebody else wrote: what is wrong is named, and costs neither memory nor time."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.core.config import ExperimentError
from train.vision import coco_json
from train.vision.coco import read

Values = dict[str, Any]


@pytest.fixture
def values(tmp_path: Path) -> Values:
    """A file with one image and one object."""
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    square = [[5, 5, 35, 5, 35, 35, 5, 35]]
    return {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 30, 30], "segmentation": square}],
        "categories": [{"id": 1, "name": "one"}],
    }


def problems(root: Path, values: Values, masks: bool = False) -> dict[str, int]:
    (root / "a.json").write_text(json.dumps(values))
    return read(root / "a.json", root / "images", masks=masks, decode=True).problems.counts


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bbox": [10**400, 1, 3, 4]}, "annotation: bbox is not four numbers"),
        ({"bbox": [1, 1, 1e300, 4]}, "annotation: bbox is not four numbers"),
        ({"bbox": [63.99999999, 1, 5, 5]}, "annotation: its box is too small"),
        ({"iscrowd": "no"}, "annotation: iscrowd is neither 0 nor 1"),
        ({"iscrowd": [0]}, "annotation: iscrowd is neither 0 nor 1"),
        (
            {"segmentation": [[1, 2, 10**400, 4, 5, 6]]},
            "annotation: polygon is not a list of x, y of three or more corners",
        ),
        ({"segmentation": {"size": [64, 64], "counts": [10**12]}}, "annotation: run lengths do not fill the image"),
        # Minutes of arithmetic with one number of five million bits.
        (
            {"segmentation": {"size": [64, 64], "counts": "o" * 10**6}},
            "annotation: run lengths do not fill the image",
        ),
    ],
)
def test_what_is_wrong_with_an_annotation(change: Values, problem: str, values: Values, tmp_path: Path) -> None:
    values["annotations"][0].update(change)
    assert problems(tmp_path, values, masks=True) == {problem: 1}


@pytest.mark.parametrize("area", [10**400, 1e300, float("nan"), -1])
def test_an_area_that_is_none_is_measured(area: float, values: Values, tmp_path: Path) -> None:
    values["annotations"][0]["area"] = area
    assert problems(tmp_path, values) == {}
    assert read(tmp_path / "a.json", tmp_path / "images", False, True).images[0].annotations[0].area == 900


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\0.png", "image: no such file"),
        ("\ud800.png", "image: no such file"),
        ("x" * 5_000, "image: File name too long"),
        ("../outside.png", "image: leads out of the data's folder; copy the file into it"),
        ("/dev/zero", "image: leads out of the data's folder; copy the file into it"),
        ("zero.png", "image: leads out of the data's folder; copy the file into it"),
        ("pipe.png", "image: it is a pipe, not a file"),
        ("sparse.png", "image: it has 1099511627776 bytes; wanted 536870912 at most"),
        ("strip.png", "image: below 8 pixels, or more than 100 times as long as wide"),
        ("dot.png", "image: below 8 pixels, or more than 100 times as long as wide"),
    ],
)
def test_images_that_are_not_opened(name: str, problem: str, values: Values, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "outside.png")
    Image.fromarray(np.zeros((10, 2_000, 3), np.uint8)).save(folder / "strip.png")
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(folder / "dot.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    with (folder / "sparse.png").open("wb") as file:
        file.truncate(1 << 40)
    values["images"].append({"id": 2, "file_name": name})
    assert problems(tmp_path, values) == {problem: 1}


@pytest.mark.parametrize(
    ("categories", "said"),
    [
        ([{"id": 1, "name": "\x1b[2J"}], r"the name of the category with id 1 contains the control character '\\x1b'"),
        ([{"id": 1, "name": "\ud800"}], "contains the control character"),
        ([{"id": 1, "name": "x" * 10_000}], "has 10000 characters; wanted 1000 at most"),
        ([{"id": n, "name": f"{n}"} for n in range(3_000)], "has 3000 categories; wanted 2048 at most"),
    ],
)
def test_categories_that_no_model_can_have(categories: Any, said: str, values: Values, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=said):
        problems(tmp_path, {**values, "categories": categories})
    with pytest.raises(ExperimentError) as caught:
        problems(tmp_path, {**values, "categories": [["x" * 1_000_000]]})
    assert len(str(caught.value)) < 500


def test_an_image_with_too_many_objects(values: Values, tmp_path: Path) -> None:
    values["annotations"] *= 2_001
    assert problems(tmp_path, values) == {"image: more than 2000 objects": 1}


def test_a_file_that_never_ends_or_is_too_large(
    values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.json"
    os.mkfifo(path)
    with pytest.raises(ExperimentError, match=r"b\.json cannot be read: it is a pipe"):
        read(path, tmp_path / "images", masks=False, decode=True)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ExperimentError, match=r"b\.json cannot be read: it is a device"):
        read(path, tmp_path / "images", masks=False, decode=True)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ExperimentError, match=r"b\.json cannot be read: it has 1099511627776 bytes"):
        read(path, tmp_path / "images", masks=False, decode=True)
    monkeypatch.setattr(coco_json, "MAX_CONTAINERS", 1_000)
    with pytest.raises(ExperimentError, match="it holds more than"):
        problems(tmp_path, {**values, "info": [[]] * 1_000})
