"""Image classification, detection and segmentation: the same answers as the model called in Python."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.functional import pil_to_tensor

from handlers.loader import from_safetensors
from handlers.protocol.payload import Payload
from handlers.vision import semantic_segmentation
from handlers.vision.batching import JpegBatcher, JpegFile
from handlers.vision.object_detection import DetectionInput
from tests.closeness import assert_close
from tests.handlers.vision.test_batching import broken_inside, jpeg
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded

TENSORS = [pil_to_tensor(image) for image in IMAGES]
ROWS: list[dict[str, Any]] = [{"body": encoded(image), "content-type": b"image/png"} for image in IMAGES]
BROKEN = {"body": ROWS[0]["body"][:400], "content-type": b"image/png"}


def eager(worker: Worker) -> torch.nn.Module:
    """The model as torchvision builds it: not frozen, not in another memory order."""
    return from_safetensors(worker.handler.artifact).eval()


@torch.inference_mode()
def test_image_classification_equals_the_model(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-image")
    model = eager(worker)
    for tensor, answer in zip(TENSORS, worker.json(*ROWS), strict=True):
        expected = model(worker.handler.transform(tensor)[None]).softmax(1)[0]
        by_index = {p["index"]: p["probability"] for p in answer["predictions"]}
        np.testing.assert_allclose([by_index[i] for i in range(3)], expected.numpy(), atol=1e-5)
        assert [p["label"] for p in answer["predictions"]] == [
            worker.handler.labels[i] for i in expected.argsort(descending=True)
        ]


def test_top_k_is_the_callers(load: Callable[[str], Worker]) -> None:
    [answer] = load("tiny-image").json({**ROWS[0], "top_k": b"1"})
    assert len(answer["predictions"]) == 1
    status, _, body = load("tiny-image").answer([{**ROWS[0], "top_k": b"9"}])[0]
    assert (status, orjson.loads(body)["type"]) == (422, "InvalidInput")


@pytest.mark.parametrize("name", ["tiny-image", "tiny-detection", "tiny-instance", "tiny-semantic"])
def test_a_batch_equals_its_items_alone_and_a_broken_one_fails_alone(load: Callable[[str], Worker], name: str) -> None:
    worker = load(name)
    alone = [worker.json(row)[0] for row in ROWS]
    answers = worker.answer([ROWS[0], BROKEN, ROWS[1], ROWS[2]])
    status, _, body = answers.pop(1)
    assert (status, orjson.loads(body)["type"]) == (400, "MalformedInput")
    for (code, _, answer), single in zip(answers, alone, strict=True):
        assert code == 200
        assert_close(orjson.loads(answer), single)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "key"), [("tiny-detection", "detections"), ("tiny-instance", "segments")])
def test_detections_equal_the_model(load: Callable[[str], Worker], name: str, key: str) -> None:
    worker = load(name)
    for tensor, answer in zip(TENSORS, worker.json(*ROWS), strict=True):
        [expected] = eager(worker)([tensor / 255])
        order = expected["scores"].argsort(descending=True, stable=True)[:5]
        found = answer[key]
        assert len(found) == len(order) > 0
        np.testing.assert_allclose([d["box"] for d in found], expected["boxes"][order].numpy(), rtol=1e-3, atol=0.1)
        np.testing.assert_allclose([d["score"] for d in found], expected["scores"][order].numpy(), atol=1e-4)
        assert [d["index"] for d in found] == expected["labels"][order].tolist()
        height, width = tensor.shape[1:]
        boxes = np.array([d["box"] for d in found])
        assert boxes.min() >= 0
        assert (boxes[:, [0, 2]] <= width + 1e-3).all()
        assert (boxes[:, [1, 3]] <= height + 1e-3).all()


@torch.inference_mode()
def test_instance_masks_are_coco_rle_at_the_images_size(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-instance")
    [answer] = worker.json(ROWS[0])
    [expected] = eager(worker)([TENSORS[0] / 255])
    assert answer["size"] == [214, 320]
    for segment in answer["segments"]:
        matches = [
            (expected["masks"][i, 0] >= 0.5).numpy()
            for i in range(len(expected["scores"]))
            if np.allclose(expected["boxes"][i].numpy(), segment["box"], atol=0.1)
        ]
        mask = coco_mask.decode(segment["rle"]).astype(bool)
        assert mask.sum() == segment["area"]
        assert any((mask == match).mean() > 0.999 for match in matches)


@torch.inference_mode()
def test_segments_equal_the_model(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-semantic")
    model = eager(worker)
    for tensor, answer in zip(TENSORS, worker.json(*ROWS), strict=True):
        logits = model(worker.handler.transform(tensor)[None])["out"]
        size = tensor.shape[1:]
        expected = torch.nn.functional.interpolate(logits, size, mode="bilinear").argmax(1)[0].numpy()
        assert answer["size"] == list(size)
        decoded = np.zeros(size, int)
        for segment in answer["segments"]:
            decoded[coco_mask.decode(segment["rle"]).astype(bool)] = segment["index"]
        assert (decoded == expected).mean() > 0.999


def test_images_on_request(load: Callable[[str], Worker]) -> None:
    for name in ("tiny-detection", "tiny-instance", "tiny-semantic"):
        [(status, content_type, body)] = load(name).answer([ROWS[0]], [{"accept": "image/png"}])
        assert (status, content_type) == (200, "image/png")
        assert Image.open(io.BytesIO(body)).size == (320, 214)


def test_the_label_map_is_the_answer_as_a_image(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-semantic")
    [answer] = worker.json(ROWS[0])
    [(_, _, body)] = worker.answer([{**ROWS[0], "accept": b"image/png", "render": b"label-map"}])
    label_map = np.asarray(Image.open(io.BytesIO(body)))
    for segment in answer["segments"]:
        assert np.array_equal(coco_mask.decode(segment["rle"]).astype(bool), label_map == segment["index"])


def test_classification_has_no_image_to_give(load: Callable[[str], Worker]) -> None:
    assert load("tiny-image").answer([{**ROWS[0], "accept": b"image/png"}])[0][0] == 406


@pytest.mark.parametrize("name", ["tiny-image", "tiny-detection", "tiny-instance", "tiny-semantic"])
@pytest.mark.parametrize("size", [(9000, 1), (1, 9000), (1, 1)])
def test_a_strip_is_answered_or_refused_and_hurts_nobody(
    load: Callable[[str], Worker], name: str, size: tuple[int, int]
) -> None:
    strip = {"body": encoded(Image.new("RGB", size, "orange")), "content-type": b"image/png"}
    (healthy, _, _), (status, _, body), (also, _, _) = load(name).answer([ROWS[0], strip, ROWS[1]])
    assert (healthy, also) == (200, 200)
    assert status in (200, 413, 422)
    assert status == 200 or len(orjson.loads(body)["message"]) <= 300


@pytest.mark.parametrize("size", [(30, 40), (90, 70)])
@pytest.mark.parametrize("together", [1, 3, 100])
def test_label_maps_of_one_size_are_stretched_together(size: tuple[int, int], together: int) -> None:
    logits = torch.randn(7, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    rows = [0, 2, 3, 6]
    wanted = torch.nn.functional.interpolate(logits[rows], size, mode="bilinear", align_corners=False).argmax(1)
    found = semantic_segmentation.label_maps(logits, rows, size, together)
    assert torch.equal(torch.stack(found).long(), wanted)


def test_large_label_maps_are_stretched_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(2, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = semantic_segmentation.label_maps(logits, [0, 1], (90, 70), 2)
    monkeypatch.setattr(semantic_segmentation, "BAND", 700)
    for found, wanted in zip(semantic_segmentation.label_maps(logits, [0, 1], (90, 70), 2), whole, strict=True):
        assert (found == wanted).float().mean() > 0.999


def test_masks_of_whole_images_leave_the_device_as_bits(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a scripted detector, whose masks are spread already; only those that are answered."""
    handler = load("tiny-instance").handler
    monkeypatch.setattr(handler, "spreads", False)
    masks = torch.rand(9, 1, 20, 30, generator=torch.Generator().manual_seed(0))
    scores = torch.tensor([0.1, 0.9, 0.3, 0.8, 0.7, 0.2, 0.6, 0.05, 0.4])
    output = {"boxes": torch.rand(9, 4), "labels": torch.ones(9, dtype=torch.long), "scores": scores, "masks": masks}
    item = DetectionInput(torch.zeros(3, 20, 30, dtype=torch.uint8), 0.5, 3)
    [found] = handler.select([item], [output])
    assert found["scores"].tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert found["masks"].dtype is torch.bool
    for mask, index in zip(handler.masks(item, found), (1, 3, 4), strict=True):
        assert torch.equal(mask, masks[index, 0] >= 0.5)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["tiny-detection", "tiny-instance", "tiny-semantic"])
@pytest.mark.parametrize("accept", ["application/json", "image/png"])
def test_jpegs_decoded_with_their_batch_are_answered_as_those_decoded_alone(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, name: str, accept: str
) -> None:
    """With libjpeg-turbo in nvJPEG's place; one is broken behind its header, one is a PNG, two are of other sizes."""
    worker = load(name)
    files = [jpeg(image) for image in (*IMAGES, IMAGES[0].resize((90, 60)))]
    rows: list[dict[str, Any]] = [{"body": body} for body in (*files, broken_inside(), encoded(IMAGES[0]), files[1])]
    headers = [{"Accept": accept}] * len(rows)
    wanted = worker.answer(rows, headers)

    def decode(files: Sequence[bytes], height: int, width: int) -> torch.Tensor:
        buffers = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
        return torch.stack(decode_jpeg(buffers, mode=ImageReadMode.RGB))

    alone = worker.handler.batcher
    together = JpegBatcher(alone.transform, alone.max_pixels, alone.device, decode)
    monkeypatch.setattr(worker.handler, "batcher", together)
    opened = [type(together.open(Payload(row["body"]))) for row in rows[:2]]
    assert opened == [JpegFile, JpegFile]
    answers = worker.answer(rows, headers)
    assert [status for status, _, _ in answers] == [status for status, _, _ in wanted]
    assert [status for status, _, _ in answers].count(200) == len(rows) - 1
    for (status, _, body), (_, _, expected) in zip(answers, wanted, strict=True):
        if status == 200 and accept == "image/png":
            assert Image.open(io.BytesIO(body)).size == Image.open(io.BytesIO(expected)).size
        elif status == 200 and name == "tiny-semantic":  # resized on a GPU to a level of 255
            assert orjson.loads(body)["size"] == orjson.loads(expected)["size"]
        else:
            assert_close(orjson.loads(body), orjson.loads(expected))
