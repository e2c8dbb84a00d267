"""COCO files: read as pycocotools reads them, and everything that is wrong named and counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.tiny_coco import tiny_coco
from train.core.config import ExperimentError
from train.demo.shapes.shapes import SHAPES
from train.vision.coco import read
from train.vision.coco_categories import BACKGROUND
from train.vision.detection.data import CocoImages, CocoSettings


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_coco(tmp_path_factory.mktemp("coco"))


def test_boxes_labels_and_masks_are_those_pycocotools_reads(source: dict[str, Path]) -> None:
    reference = COCO(str(source["annotations"]))
    file = read(source["annotations"], source["images"], masks=True, decode=True)
    assert not len(file.problems)
    assert file.labels == [BACKGROUND, *SHAPES]
    images = CocoImages(file.images, masks=True, crowds=True)
    assert len(images) == len(reference.imgs) == 6
    for number in range(len(images)):
        image, target = images[number]
        wanted = reference.loadAnns(reference.getAnnIds(number))
        assert image.shape == (3, reference.imgs[number]["height"], reference.imgs[number]["width"])
        for position, annotation in enumerate(wanted):
            x, y, width, height = annotation["bbox"]
            assert target["boxes"][position].tolist() == [x, y, x + width, y + height]
            assert target["labels"][position] == annotation["category_id"]
            np.testing.assert_array_equal(target["masks"][position].numpy(), reference.annToMask(annotation))


def a_image(path: Path, size: tuple[int, int] = (40, 30), orientation: int | None = None) -> None:
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, exif=exif)


def test_everything_that_is_wrong_is_named_and_counted(tmp_path: Path) -> None:
    for name in ("good.jpg", "empty.jpg", "cut.jpg", "small.jpg"):
        a_image(tmp_path / name)
    a_image(tmp_path / "turned.jpg", orientation=6)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-200])
    (tmp_path / "text.jpg").write_text("not an image")
    names = ["good", "empty", "cut", "small", "turned", "text", "gone"]
    images: list[Any] = [
        {"id": number, "file_name": f"{name}.jpg", "width": 40, "height": 30} for number, name in enumerate(names)
    ]
    images[3]["width"] = 80
    images += [{"id": 0, "file_name": "again.jpg"}, "image", {"file_name": "no-id.jpg"}]
    base = {"image_id": 0, "category_id": 7, "bbox": [1, 2, 10, 10]}
    wrong = [
        {**base, "bbox": [1, 2, 0, 10]},
        {**base, "bbox": [50, 2, 10, 10]},
        {**base, "bbox": [1, 2, 10]},
        {**base, "bbox": [1, 2, float("inf"), 10]},
        {**base, "category_id": 8},
        {**base, "image_id": 99},
        {**base, "image_id": 2},
        {"bbox": [1, 2, 3, 4]},
        {**base, "image_id": [0]},
        "annotation",
    ]
    annotations = [
        {**base, "id": 1},
        {**base, "id": 2, "bbox": [-5, -5, 100, 20], "iscrowd": 1},
        *({**entry, "id": 10 + n} if isinstance(entry, dict) else entry for n, entry in enumerate(wrong)),
    ]
    path = tmp_path / "bad.json"
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    file = read(path, tmp_path, masks=False, decode=True)

    assert file.labels == [BACKGROUND, "dog", "cat"]
    assert [image.path.name for image in file.images] == ["good.jpg", "empty.jpg"]
    good, empty = file.images
    assert [(a.label, a.box, a.crowd) for a in good.annotations] == [
        (2, (1, 2, 11, 12), False),
        (2, (0, 0, 40, 15), True),
    ]
    assert not empty.annotations
    counts = dict(file.problems.counts)
    assert counts.pop("category: no objects") == 1  # dog
    assert counts.pop("image: wanted {id, file_name}") == 2
    assert counts.pop("annotation: wanted {image_id, category_id, …}") == 3
    assert counts.pop("annotation: bbox is not four numbers") == 2
    for kind in (
        "image: duplicate id",
        "image: size differs from the annotated one",
        "image: not an image",
        "image: no such file",
        "annotation: its box has no area",
        "annotation: its box lies outside the image",
        "annotation: category_id 8 is not in the file",
        "annotation: its image is not in the file",
        "annotation: its image was skipped",
    ):
        # The turned image is 30 × 40 upright, so it is of another size as well.
        assert counts.pop(kind) == (2 if kind.endswith("annotated one") else 1), kind
    [(kind, count)] = counts.items()
    assert kind.startswith("image: broken: ")
    assert count == 1
    assert "gone.jpg" in str(file.problems)
    assert "annotation 11 of good.jpg" in str(file.problems)
    assert "turned.jpg: 40 × 30 in the JSON, 30 × 40 upright" in str(file.problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "wanted a list under 'images'"),
        ('{"images": []}', "wanted a list under 'annotations'"),
        ('{"images": [], "annotations": [], "categories": []}', "categories is empty"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "wanted a category as"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "category id 1 occurs twice",
        ),
    ],
)
def test_a_file_that_cannot_be_read_at_all(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ExperimentError, match=said):
        read(tmp_path / "bad.json", tmp_path, masks=False, decode=True)


def test_a_byte_order_mark_and_sizes_that_are_not_said(source: dict[str, Path], tmp_path: Path) -> None:
    values = json.loads(source["annotations"].read_text())
    for image in values["images"]:
        image.update(height=None, width=None)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(values), encoding="utf-8-sig")
    found = read(path, source["images"], masks=True, decode=False)
    assert not found.problems
    assert found.images == read(source["annotations"], source["images"], masks=True, decode=False).images


def test_problems_can_be_made_fatal_and_missing_files_are_named(source: dict[str, Path], tmp_path: Path) -> None:
    values = json.loads(source["annotations"].read_text())
    values["annotations"][0]["bbox"] = [0, 0, 0, 0]
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(values))
    settings = {"images": source["images"], "annotations": path}
    assert len(CocoSettings.model_validate(settings).split(masks=False, seed=0).problems["changed.json"]) == 1
    with pytest.raises(ExperimentError, match="its box has no area"):
        CocoSettings.model_validate({**settings, "on_problem": "fail"}).split(masks=False, seed=0)
    with pytest.raises(ExperimentError, match=r"gone\.json does not exist"):
        CocoSettings.model_validate({**settings, "annotations": tmp_path / "gone.json"}).split(masks=False, seed=0)
    path.write_text(json.dumps({**values, "annotations": []}))
    with pytest.raises(ExperimentError, match="images have no annotated objects"):
        CocoSettings.model_validate({**settings, "decode": False}).split(masks=False, seed=0)


def test_the_seed_makes_the_split(source: dict[str, Path]) -> None:
    settings = CocoSettings.model_validate({**source, "validation_share": 0.4})
    one, same, other = (settings.split(masks=False, seed=seed) for seed in (1, 1, 2))
    assert [p.path for p in one.validation] == [p.path for p in same.validation]
    assert [p.path for p in one.validation] != [p.path for p in other.validation]
    assert len(one.validation) == 2
    assert not {p.path for p in one.training} & {p.path for p in one.validation}


def test_a_category_that_only_groups_others_is_no_class(source: dict[str, Path], tmp_path: Path) -> None:
    """Roboflow's root, by whatever name and wherever it stands; a class without an object stays, and is named."""
    values = json.loads(source["annotations"].read_text())
    names = [category["name"] for category in values["categories"]]
    values["categories"] = [
        {"id": 0, "name": "parts", "supercategory": "none"},
        *({**category, "id": category["id"], "supercategory": "parts"} for category in values["categories"]),
        {"id": 91, "name": "unseen", "supercategory": "unseen"},
    ]
    path = tmp_path / "roboflow.json"
    path.write_text(json.dumps(values))
    file = read(path, source["images"], masks=False, decode=False)
    assert file.labels == ["__background__", *names, "unseen"]
    assert dict(file.problems.counts) == {
        "category: only groups others; skipped": 1,
        "category: no objects": 1,
    }


def test_categories_of_another_file_are_matched_by_name(source: dict[str, Path], tmp_path: Path) -> None:
    values = json.loads(source["annotations"].read_text())
    numbers = {category["id"]: 100 - category["id"] for category in values["categories"]}
    for entry in values["annotations"]:
        entry["category_id"] = numbers[entry["category_id"]]
    values["categories"] = [{**c, "id": numbers[c["id"]]} for c in values["categories"]] + [{"id": 1, "name": "new"}]
    values["annotations"].append({**values["annotations"][0], "category_id": 1})
    path = tmp_path / "other.json"
    path.write_text(json.dumps(values))
    first = read(source["annotations"], source["images"], masks=False, decode=False)
    other = read(path, source["images"], masks=False, decode=False, labels=first.labels)
    assert other.images == first.images
    assert other.problems.counts == {"annotation: its category is not one of the training file": 1}


def test_training_leaves_crowds_out_and_keeps_empty_images(source: dict[str, Path], tmp_path: Path) -> None:
    values = json.loads(source["annotations"].read_text())
    values["annotations"] = [a for a in values["annotations"] if a["image_id"] != 1]
    for entry in values["annotations"]:
        entry["iscrowd"] = int(entry["image_id"] == 2)
    path = tmp_path / "crowds.json"
    path.write_text(json.dumps(values))
    file = read(path, source["images"], masks=True, decode=False)
    training = CocoImages(file.images, masks=True, crowds=False)
    measured = CocoImages(file.images, masks=True, crowds=True)
    assert training[1][1]["boxes"].shape == (0, 4)
    assert training[1][1]["masks"].shape[0] == 0
    assert training[2][1]["labels"].shape == (0,)
    assert measured[2][1]["iscrowd"].all()
    assert measured[2][1]["iscrowd"].numel()


def test_images_are_read_upright(tmp_path: Path) -> None:
    a_image(tmp_path / "turned.jpg", orientation=6)
    entry = {"id": 1, "file_name": "turned.jpg", "width": 30, "height": 40}
    annotation = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 40]}
    path = tmp_path / "turned.json"
    path.write_text(
        json.dumps({"images": [entry], "annotations": [annotation], "categories": [{"id": 1, "name": "a"}]})
    )
    file = read(path, tmp_path, masks=False, decode=True)
    assert not len(file.problems)
    assert CocoImages(file.images, masks=False, crowds=True)[0][0].shape == (3, 40, 30)
