"""`bundle new` for the tasks of images: which one the weights are for, and the answers that come of it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.transforms.functional import pil_to_tensor
from transformers import pipeline
from typer.testing import CliRunner

from archiver.errors import SpecError
from archiver.new.architectures import find
from archiver.new.command import app
from archiver.new.kinds import Options
from tests import tiny_vision
from tests.handlers.vision.served import ROWS, check_isolation
from tests.handlers.worker import Worker
from tests.inputs import IMAGES
from tests.new_models import new, served
from tests.tiny_exports import Pixels, to_onnx

SIDE = 48


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


def unit(values: Any) -> Any:
    array = np.asarray(values, np.float64).reshape(len(values), -1)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_a_folder_for_depth(tmp_path: Path) -> None:
    folder = tiny_vision.source("metric", tmp_path / "folder")
    worker = served(folder, tmp_path / "depth")
    estimate = pipeline("depth-estimation", model=str(folder))
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        expected = estimate(image)["predicted_depth"].numpy()
        assert (answer["kind"], answer["nearer"]) == ("metric", "lower")
        np.testing.assert_allclose([answer["minimum"], answer["maximum"]], [expected.min(), expected.max()], atol=1e-2)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_folder_of_two_towers(tmp_path: Path, name: str) -> None:
    """Zero-shot classification, with the labels of requests or of `--labels`; embeddings where these are asked for."""
    folder = tiny_vision.source(name, tmp_path / "folder")
    names = tmp_path / "names.txt"
    names.write_text("a temple\na flower\n")
    classify: Any = pipeline("zero-shot-image-classification", model=str(folder))
    worker = served(folder, tmp_path / "sent")
    [answer] = worker.json({**ROWS[0], "labels": b"a temple,a flower"})
    expected = {each["label"]: each["score"] for each in classify(IMAGES[0], ["a temple", "a flower"])}
    assert {each["label"]: each["probability"] for each in answer["predictions"]} == pytest.approx(expected, abs=1e-3)
    assert served(folder, tmp_path / "kept", Options(labels=names)).json(ROWS[0]) == [answer]
    embedding = served(folder, tmp_path / "vectors", Options(task="image-embedding"))
    [vector] = embedding.json(ROWS[0])
    assert np.linalg.norm(vector["embedding"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", [*tiny_vision.TOWERS])
def test_a_folder_for_embeddings(tmp_path: Path, name: str) -> None:
    folder = tiny_vision.source(name, tmp_path / "folder")
    worker = served(folder, tmp_path / "vectors")
    extract = pipeline("image-feature-extraction", model=str(folder), pool=True)
    found = np.array([answer["embedding"] for answer in worker.json(*ROWS)])
    np.testing.assert_allclose(found, unit([extract(image) for image in IMAGES]), atol=1e-4)


def test_a_folder_without_its_processor(tmp_path: Path) -> None:
    folder = tiny_vision.source("dpt", tmp_path / "folder")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(SpecError, match=r"has no preprocessor_config\.json; add it: AutoImageProcessor"):
        new(folder, tmp_path / "depth")


@pytest.mark.parametrize(("keypoints", "last"), [(4, "keypoint 3"), (17, "right_ankle")])
def test_keypoints_are_recognised_by_their_head(keypoints: int, last: str) -> None:
    with torch.device("meta"):
        network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_keypoints=keypoints)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = find(Path("people.pth"), shapes, "keypointrcnn_resnet50_fpn")
    assert found is not None
    assert (found.task, found.classes, found.arguments["num_keypoints"]) == ("keypoint-detection", 2, keypoints)
    assert found.preprocessing is not None
    assert len(found.preprocessing.value["keypoints"]) == keypoints
    assert found.preprocessing.value["keypoints"][-1] == last


class Vector(Pixels):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).mean((2, 3))


class Several(Vector):
    """Of which any number applies."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).sigmoid()


class Depth(Pixels):
    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(super().forward(images), scale_factor=4, mode="bilinear")


def exported(network: nn.Module, path: Path) -> Path:
    return to_onnx(network, path, SIDE, ["found"])


def by_hand(path: Path, worker: Any, image: Image.Image) -> Any:
    """ONNX Runtime's own output for one image, resized to the file's size and normalised as ImageNet's models."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    small = worker.handler.transform.geometry(pixels).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert small.shape == (3, SIDE, SIDE)
    return onnxruntime.InferenceSession(path).run(None, {"images": ((small - mean) / std)[None].numpy()})[0][0]


def test_an_onnx_file_for_embeddings(tmp_path: Path) -> None:
    path = exported(Vector(6), tmp_path / "m.onnx")
    worker = served(path, tmp_path / "vectors", Options(task="image-embedding"), backend="auto")
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        wanted = by_hand(path, worker, image)
        np.testing.assert_allclose(answer["embedding"], wanted / np.linalg.norm(wanted), atol=1e-5)
    check_isolation(worker)


def test_an_onnx_file_of_which_any_number_of_classes_applies(tmp_path: Path) -> None:
    path = exported(Several(4), tmp_path / "m.onnx")
    worker = served(path, tmp_path / "several", backend="auto")
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        wanted = by_hand(path, worker, image)
        found = {each["index"]: each["probability"] for each in answer["predictions"]}
        np.testing.assert_allclose([found[index] for index in range(4)], wanted, atol=1e-6)
        assert set(answer["labels"]) == {f"class {index}" for index in np.flatnonzero(wanted >= 0.5)}
    check_isolation(worker)


def test_an_onnx_file_for_depth(tmp_path: Path) -> None:
    path = exported(Depth(1), tmp_path / "m.onnx")
    with pytest.raises(SpecError, match="one number for each pixel: name the task, --task"):
        new(path, tmp_path / "unnamed")
    worker = served(path, tmp_path / "depth", Options(task="depth-estimation"), backend="auto")
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        small = torch.from_numpy(by_hand(path, worker, image))
        whole = F.interpolate(small[None], (image.height, image.width), mode="bicubic")[0, 0]
        got = [answer["minimum"], answer["maximum"], answer["mean"]]
        np.testing.assert_allclose(got, [whole.min(), whole.max(), whole.mean()], atol=1e-4)
    check_isolation(worker)


def test_torchscript_for_depth(tmp_path: Path) -> None:
    network = Depth(1).eval()
    torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(tmp_path / "m.pt")
    about = Options(task="depth-estimation")
    settings = {"size": [SIDE, SIDE], "kind": "metric", "nearer": "lower"}
    worker = served(tmp_path / "m.pt", tmp_path / "depth", about, preprocessing=settings)
    [answer] = worker.json(ROWS[0])
    pixels = worker.handler.transform.geometry(pil_to_tensor(IMAGES[0]))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    depths = network(((pixels / 255 - mean) / std)[None])
    wanted = F.interpolate(depths, (IMAGES[0].height, IMAGES[0].width), mode="bicubic")
    assert answer["mean"] == pytest.approx(wanted.mean().item(), abs=1e-4)


@pytest.mark.parametrize("form", ["folder", "state.pth"])
def test_a_backbone_of_timm(tmp_path: Path, form: str) -> None:
    """Without a head it gives embeddings."""
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=0).eval()
    path, about = tmp_path / form, Options()
    if form == "folder":
        timm.models.save_for_hf(network, str(path), safe_serialization=True)
    else:
        about = Options(architecture="timm/resnet10t")
        torch.save(network.state_dict(), path)
    worker = served(path, tmp_path / "vectors", about)
    transform = create_transform(**resolve_data_config({}, model=network))
    [answer] = worker.json(ROWS[0])
    np.testing.assert_allclose([answer["embedding"]], unit(network(transform(IMAGES[0])[None])), atol=5e-3)


def test_a_finished_archive_is_copied(tmp_path: Path) -> None:
    path = exported(Vector(2), tmp_path / "m.onnx")
    wanted = served(path, tmp_path / "first", Options(task="image-embedding"), backend="auto").json(ROWS[0])
    finished, store = tmp_path / "first" / "store" / "first.mar", tmp_path / "store"
    arguments = ["other", "--weights", str(finished), "--store", str(store)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "is a finished archive; serve it: ./bundle serve other" in done.stdout
    assert Worker(store / "other.mar", tmp_path / "unpacked").json(ROWS[0]) == wanted
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the name: is already used" in done.stderr


def test_a_finished_archive_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "other.mar").write_bytes(b"nothing of the kind")
    arguments = ["other", "--weights", str(tmp_path / "other.mar"), "--store", str(tmp_path / "store")]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the weights: is a text that begins with 'nothing of the kind'" in done.stderr
    assert not (tmp_path / "store").exists()
