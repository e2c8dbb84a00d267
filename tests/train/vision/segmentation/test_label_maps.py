"""Label maps: painted from COCO's annotations, read from images, refused, in batches."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from train.core.config import ExperimentError
from train.demo.shapes.shapes import SHAPES
from train.vision.coco import AnnotatedImage, Annotation
from train.vision.segmentation.augmentation import SegmentationAugmentation
from train.vision.segmentation.data import LabelMapData, LabelSettings
from train.vision.segmentation.experiment import SemanticSegmentation
from train.vision.segmentation.label_maps import IGNORE, paint, read_label_map

LABELS = ["background", *SHAPES]


def test_small_objects_are_painted_over_large_ones_and_crowds_are_ignored() -> None:
    def annotation(label: int, top: int, bottom: int, crowd: bool = False) -> Annotation:
        mask = np.zeros((10, 4), np.uint8, order="F")
        mask[top:bottom] = 1
        return Annotation(label, (0, top, 4, bottom), float(mask.sum()), crowd, coco_mask.encode(mask))

    small, large, crowd = annotation(1, 2, 4), annotation(2, 0, 6), annotation(1, 3, 9, crowd=True)
    painted = paint(AnnotatedImage(Path(), 10, 4, (small, large, crowd)))
    assert painted[:, 0].tolist() == [2, 2, 1, 1, 2, 2, IGNORE, IGNORE, IGNORE, 0]


def test_label_maps_are_the_composed_ones(source: dict[str, Path], maps: dict[str, Path]) -> None:
    settings = LabelSettings.model_validate({**maps, "labels": LABELS})
    from_png, of_coco = settings.split(0), LabelSettings.model_validate(source).split(0)
    assert from_png.labels == of_coco.labels
    for one, other in zip(from_png.training, of_coco.training, strict=True):
        np.testing.assert_array_equal(one.label_map(), other.label_map())


def test_bad_maps_are_named_and_counted(maps: dict[str, Path], tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "maps"
    shutil.copytree(maps["images"], images)
    shutil.copytree(maps["maps"], labels)
    stems = sorted(path.stem for path in labels.glob("*.png"))
    (labels / f"{stems[0]}.png").unlink()
    values = np.array(read_label_map((labels / f"{stems[1]}.png").read_bytes()))
    values[0, 0] = 77
    Image.fromarray(values).save(labels / f"{stems[1]}.png")
    Image.fromarray(values[:-1]).save(labels / f"{stems[2]}.png")
    Image.fromarray(np.zeros((*values.shape, 3), np.uint8)).save(labels / f"{stems[3]}.png")
    (images / f"{stems[4]}.jpg").write_text("no image")
    Image.fromarray(values).save(labels / "alone.png")
    settings = {"images": images, "maps": labels, "labels": LABELS, "validation_share": 0.3}
    split = LabelSettings.model_validate(settings).split(0)
    assert split.problems["maps"].counts == {
        "map: no image of the same name": 1,
        "image: no map of the same name": 1,
        "map: contains 77; wanted 0 to 5": 1,
        "map: size differs from its image": 1,
        "map: is a colour image; wanted one number per pixel": 1,
        "image: not an image": 1,
    }
    assert len(split.training) + len(split.validation) == 3
    with pytest.raises(ExperimentError, match=r"contains 77; wanted 0 to 5 \(00001.jpg\)"):
        LabelSettings.model_validate({**settings, "on_problem": "fail"}).split(0)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, r"either annotations \(a COCO file\) or maps"),
        ({"annotations": "a.json", "maps": "b"}, r"either annotations \(a COCO file\) or maps"),
        ({"maps": "b"}, "wanted a name for each"),
        ({"maps": "b", "labels": ["one"]}, "wanted 2 to 255 names"),
        ({"annotations": "a.json", "labels": ["a", "b"]}, "names its own classes"),
    ],
)
def test_wrong_sources(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LabelSettings.model_validate({"images": "x", **keys})


def test_training_batches(source: dict[str, Path]) -> None:
    settings = LabelSettings.model_validate({**source, "workers": 0})
    experiment = SemanticSegmentation.model_validate(
        {"name": "x", "system": "semantic-segmentation", "data": settings, "image_size": [64, 96]}
    )
    augment = SegmentationAugmentation().transform((64, 96))
    data = LabelMapData(settings.split(0), experiment.transform, augment, 3, 0)
    batches = list(data.train_dataloader())
    assert [(images.shape, masks.shape) for images, masks in batches] == [((3, 3, 64, 96), (3, 64, 96))] * 2
    images, masks = batches[0]
    assert masks.dtype == torch.int64
    assert set(masks.unique().tolist()) <= {*range(6)}
    assert images.abs().max() < 3
