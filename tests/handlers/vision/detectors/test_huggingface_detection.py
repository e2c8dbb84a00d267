"""Hugging Face folders for detection and semantic segmentation: the same answers as transformers' own pipelines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from pycocotools import mask as coco_mask
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation, pipeline

from tests.closeness import assert_close
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded
from tests.new_models import served
from tests.tiny_transformers import DETECTORS, LABELS, SEGMENTERS, save, segformer

ROWS: list[dict[str, Any]] = [{"body": encoded(image), "content-type": b"image/png"} for image in IMAGES]
BROKEN = {"body": ROWS[0]["body"][:400], "content-type": b"image/png"}
Get = Callable[[str], tuple[Path, Worker]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Get:
    made: dict[str, tuple[Path, Worker]] = {}

    def get(name: str) -> tuple[Path, Worker]:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            folder = save({**DETECTORS, **SEGMENTERS}[name](), root / "folder")
            options: dict[str, Any] = {"options": {"score_threshold": 0.0}} if name in DETECTORS else {}
            made[name] = folder, served(folder, root / name, **options)
        return made[name]

    return get


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_as_the_pipelines(model: Get, name: str) -> None:
    folder, worker = model(name)
    reference = pipeline("object-detection", model=str(folder), image_processor=str(folder))
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        wanted = sorted(reference(image, threshold=0.0), key=lambda found: -found["score"])
        assert len(answer["detections"]) == len(wanted) > 0
        for got, found in zip(answer["detections"], wanted, strict=True):
            assert (got["label"], LABELS[got["index"]]) == (found["label"], found["label"])
            assert got["score"] == pytest.approx(found["score"], abs=1e-5)
            # The pipeline cuts off the part behind the point.
            assert [int(side) for side in got["box"]] == pytest.approx(list(found["box"].values()), abs=1)


@pytest.mark.parametrize("name", SEGMENTERS)
@torch.inference_mode()
def test_masks_as_the_processors(model: Get, name: str) -> None:
    folder, worker = model(name)
    processor = AutoImageProcessor.from_pretrained(folder)
    if name == "segformer":
        network = pipeline("image-segmentation", model=str(folder), image_processor=str(folder)).model.eval()
    else:
        network = AutoModelForUniversalSegmentation.from_pretrained(folder).eval()
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        outputs = network(**processor(images=image, return_tensors="pt"))
        [wanted] = processor.post_process_semantic_segmentation(outputs, target_sizes=[(image.height, image.width)])
        got = np.full(answer["size"], -1)
        for segment in answer["segments"]:
            got[coco_mask.decode(segment["rle"]).astype(bool)] = segment["index"]
        assert (got == wanted.numpy()).mean() > 0.999
        assert len(answer["segments"]) > 1


@pytest.mark.parametrize("name", [*DETECTORS, *SEGMENTERS])
def test_a_batch_equals_its_images_alone(model: Get, name: str) -> None:
    _, worker = model(name)
    alone = [worker.json(row)[0] for row in ROWS]
    answers = worker.answer([ROWS[0], BROKEN, *ROWS[1:], ROWS[0]])
    status, _, body = answers.pop(1)
    assert (status, orjson.loads(body)["type"]) == (400, "MalformedInput")
    for (code, _, answer), single in zip(answers, [*alone, alone[0]], strict=True):
        assert code == 200
        assert_close(orjson.loads(answer), single)


def test_the_class_called_background_has_no_segment(tmp_path: Path) -> None:
    network, processor = segformer()
    config: Any = network.config
    config.id2label = {**config.id2label, 3: "Background"}
    folder = save((network, processor), tmp_path / "folder")
    worker = served(folder, tmp_path / "ground")
    assert worker.handler.background == 3
    [answer] = worker.json(ROWS[0])
    assert answer["segments"]
    assert "Background" not in {segment["label"] for segment in answer["segments"]}
    [(status, media_type, _)] = worker.answer([ROWS[0]], [{"accept": "image/png"}])
    assert (status, media_type) == (200, "image/png")
