"""Boxes and masks move together."""

from pathlib import Path

import pytest
import torch

from tests.tiny_coco import tiny_coco
from train.vision.detection.augmentation import DetectionAugmentation
from train.vision.detection.data import CocoData, CocoSettings


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_coco(tmp_path_factory.mktemp("coco"))


@pytest.mark.parametrize("extra", [None, {"rotate": 30, "shear": 10, "perspective": 0.3, "elastic": 4, "noise": 0.1}])
def test_augmentation_keeps_boxes_around_their_masks(extra: dict[str, float] | None, source: dict[str, Path]) -> None:
    settings = CocoSettings.model_validate({**source, "workers": 0})
    split = settings.split(masks=True, seed=0)
    section = {"zoom_out": 0.7, "crop": 0.7, "extra": extra}
    augment = DetectionAugmentation.model_validate(section).transform()
    data = CocoData(split, True, 2, 0, augment)
    torch.manual_seed(0)
    moved = 0
    for _ in range(8):
        for batch in data.train_dataloader():
            for image, target in batch:
                count = len(target["labels"])
                assert all(len(values) == count for values in target.values())
                for box, mask in zip(target["boxes"], target["masks"], strict=True):
                    rows, columns = mask.nonzero(as_tuple=True)
                    if not len(rows):
                        continue
                    inner = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                    assert (inner[:2] >= box[:2] - 1.5).all()
                    assert (inner[2:] <= box[2:] + 1.5).all()
                    moved += 1
                assert image.shape[1:] == target["masks"].shape[1:]
    assert moved > 20
