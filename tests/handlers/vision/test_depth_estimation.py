"""Depth estimation: the depths of transformers' own pipeline, at the images' own sizes."""

import base64
import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import pipeline

from handlers.errors import InvalidInput, TooLarge
from handlers.vision.depth_transform import DepthTransform
from tests import tiny_vision
from tests.handlers.vision.served import ROWS, check_isolation, served
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded
from train.core.config import ExperimentError

TASK: Final = "depth-estimation"
KINDS = {
    "dpt": ("relative", "higher"),
    "depth-anything": ("relative", "higher"),
    "metric": ("metric", "lower"),
    "glpn": ("metric", "lower"),
}


@pytest.fixture(scope="module", params=[*tiny_vision.DEPTHS])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Worker, Any]:
    """(name, worker, transformers' pipeline)"""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("depth") / request.param
    worker = served(tiny_vision.artifact(request.param, TASK, folder))
    return request.param, worker, pipeline(TASK, model=str(folder.with_name(f"{request.param}-source")))


def depths(answer: dict[str, Any], png: bytes) -> NDArray[np.float64]:
    numbers = np.asarray(Image.open(io.BytesIO(png)))
    assert numbers.dtype == np.uint16
    found: NDArray[np.float64] = answer["offset"] + answer["scale"] * numbers.astype(np.float64)
    return found


def test_the_depths_of_the_pipeline(model: tuple[str, Worker, Any]) -> None:
    name, worker, estimate = model
    for image, answer in zip(IMAGES, worker.json(*({**row, "map": b"true"} for row in ROWS)), strict=True):
        expected = estimate(image)["predicted_depth"].numpy()
        assert expected.std() > 0
        assert answer["size"] == list(expected.shape) == [image.height, image.width]
        assert (answer["kind"], answer["nearer"]) == KINDS[name]
        summary = [answer["minimum"], answer["maximum"], answer["mean"]]
        tolerance = 1e-3 * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(summary, [expected.min(), expected.max(), expected.mean()], atol=tolerance)
        found = depths(answer, base64.b64decode(answer["png"]))
        low = 0.0 if KINDS[name][0] == "metric" else -np.inf  # bicubic interpolation may pass below a depth of 0
        np.testing.assert_allclose(found, expected.clip(low), atol=tolerance + answer["scale"])


def test_a_batch_equals_its_items_alone(model: tuple[str, Worker, Any]) -> None:
    check_isolation(model[1])


def test_the_map_alone(model: tuple[str, Worker, Any]) -> None:
    _, worker, _ = model
    [answer] = worker.json({**ROWS[1], "map": b"true"})
    [(status, kind, body)] = worker.answer([{**ROWS[1], "accept": b"image/png"}])
    assert (status, kind) == (200, "image/png")
    assert body == base64.b64decode(answer["png"])
    image = Image.open(io.BytesIO(body))
    assert image.size == IMAGES[1].size
    texts = {name: answer[name] for name in ("kind", "nearer")}
    assert image.info.items() >= {**texts, "scale": repr(answer["scale"]), "offset": repr(answer["offset"])}.items()
    [summary] = worker.json(ROWS[1])
    assert summary == {name: value for name, value in answer.items() if name != "png"}


@pytest.mark.parametrize("size", [(9000, 1), (1, 9000), (1, 1), (5000, 60), (2000, 2000)])
def test_shapes_at_the_limits(model: tuple[str, Worker, Any], size: tuple[int, int]) -> None:
    """Answered or refused, and a neighbour is answered."""
    _, worker, _ = model
    odd = {"body": encoded(Image.new("RGB", size, "orange")), "content-type": b"image/png"}
    (one, _, _), (status, _, body), (two, _, _) = worker.answer([ROWS[0], odd, ROWS[1]])
    assert (one, two) == (200, 200)
    assert status in (200, 413, 422)
    if status == 200:
        assert orjson.loads(body)["size"] == [size[1], size[0]]


def test_what_is_refused(model: tuple[str, Worker, Any]) -> None:
    _, worker, _ = model
    for wrong in ({"map": b"perhaps"}, {"render": b"overlay"}):
        [(status, _, body)] = worker.answer([{**ROWS[0], **wrong}])
        assert (status, orjson.loads(body)["type"]) == (422, "InvalidInput")
    assert worker.answer([{**ROWS[0], "accept": b"image/jpeg"}])[0][0] == 406


def test_sizes_are_bounded_before_anything_is_decoded() -> None:
    follows = DepthTransform((518, 518), keep_aspect_ratio=True, multiple=14)
    assert follows.resized(480, 640) == (518, 686)
    assert follows.resized(2000, 1000) == (1036, 518)
    with pytest.raises(TooLarge, match="would have 80934 x 518 for the model; the limit is 1000000"):
        follows.check(400, 62_500, 25_000_000, 1_000_000)
    with pytest.raises(InvalidInput, match="no pixel of its shorter side"):
        follows.check(9000, 1, 25_000_000, 1_000_000)
    with pytest.raises(TooLarge, match="while it is resized"):
        DepthTransform((384, 384)).check(20_000_000, 1, 25_000_000, 1_000_000)
    whole = DepthTransform(None, multiple=32)
    assert whole.resized(100, 64) == (96, 64)
    with pytest.raises(InvalidInput):
        whole.check(31, 640, 25_000_000, 1_000_000)
    with pytest.raises(TooLarge):
        whole.check(3000, 4000, 25_000_000, 1_000_000)
    for each in (follows, whole):
        assert DepthTransform.from_dict(orjson.loads(orjson.dumps(each.to_dict()))) == each


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="model_type: got dinov2, wanted one of dpt, depth_anything, glpn"):
        tiny_vision.artifact("dinov2", TASK, tmp_path / "d")
