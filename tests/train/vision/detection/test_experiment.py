"""Object detection and instance segmentation on a COCO file: from the file to the answer of an archive."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from torchvision.ops import box_iou
from torchvision.transforms.functional import pil_to_tensor
from typer.testing import CliRunner

from archiver import archive
from archiver.package import resolve
from deploy.configuration import PROJECT
from handlers.loader import from_safetensors
from tests.handlers.worker import Worker
from tests.tiny_coco import tiny_coco
from train.__main__ import app
from train.core.artifact import Artifact
from train.core.experiment import load
from train.core.run import Run
from train.demo.shapes.shapes import SHAPES
from train.vision.detection.average_precision import MASK_THRESHOLD
from train.vision.detection.experiment import reference

LABELS = ["__background__", *SHAPES]
# Seconds for every image: it sees three, the others six.
LARGE = "maskrcnn_resnet50_fpn"
# Half a minute for a graph; the graph of a small RetinaNet is compared below.
WITHOUT_GRAPH = (LARGE, "retinanet_resnet50_fpn")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_coco(tmp_path_factory.mktemp("coco"))


def experiment(path: Path, source: dict[str, Path], model: dict[str, Any], **keys: Any) -> Path:
    values = {
        "system": "object-detection",
        "data": {**{name: str(value) for name, value in source.items()}, "workers": 0, "validation_share": 0.34},
        "model": model,
        "batch_size": 2,
        "trainer": {"epochs": 1, "precision": "32-true", "accelerator": "cpu", "log_every": 1, "keep": 10},
        **keys,
    }
    path.write_text(yaml.safe_dump(values))
    return path


def served(artifact: Path, folder: Path, **keys: Any) -> Worker:
    """The artifact as the archiver takes it, in a worker's handler. keys: of its spec."""
    spec = folder / "spec.yaml"
    options = {"score_threshold": 0.0, "max_detections": 10}
    values = {"name": "mine", "artifact": str(artifact), "threads": 1, "options": options, **keys}
    spec.write_text(yaml.safe_dump(values))
    return Worker(
        archive.build(resolve(spec, folder), PROJECT / "handlers", folder / "store").path, folder / "unpacked"
    )


@torch.inference_mode()
def assert_answers_as_the_model(worker: Worker, path: Path, masks: bool) -> None:
    """The ten best, whatever the order of near ties among random weights."""
    model = from_safetensors(worker.handler.artifact).eval()
    [answer] = worker.json({"body": path.read_bytes(), "content-type": b"image/jpeg"})
    with Image.open(path) as image:
        [expected] = model([pil_to_tensor(image) / 255])
    got = answer["segments" if masks else "detections"]
    wanted = expected["scores"].sort(descending=True).values[:10]
    torch.testing.assert_close(torch.tensor([d["score"] for d in got]), wanted, atol=1e-4, rtol=1e-3)
    for detection in got:
        assert detection["label"] == LABELS[detection["index"]]
        alike = (expected["labels"] == detection["index"]) & ((expected["scores"] - detection["score"]).abs() < 1e-3)
        overlaps = box_iou(torch.tensor([detection["box"]]), expected["boxes"][alike])[0]
        assert overlaps.max() > 0.99
        if masks:
            mask = expected["masks"][alike][overlaps.argmax(), 0] >= MASK_THRESHOLD
            found = torch.from_numpy(coco_mask.decode(detection["rle"])).bool()
            assert (found != mask).float().mean() < 0.01


@pytest.mark.slow
def test_the_whole_path_with_a_kill_in_it(source: dict[str, Path], tmp_path: Path) -> None:
    """Fit, killed after its first checkpoint; resume, test, export; archive; the answer of its handler."""
    model = {"architecture": "mobilenet_v2_ssd", "image_size": 96, "trainable_layers": 1}
    trainer = {"epochs": 4, "precision": "32-true", "accelerator": "cpu", "log_every": 1, "keep": 10}
    mine = experiment(tmp_path / "mine.yaml", source, model, trainer=trainer)
    runs = tmp_path / "runs"
    run = Run(runs / "mine" / "killed")
    command = [sys.executable, "-m", "train", "fit", str(mine), "--runs", str(runs), "--run", "killed"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 240
            while run.last is None and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
    assert run.last is not None
    assert not (run.folder / "fit.json").exists()
    [first] = run.checkpoints.glob("epoch=000-*.ckpt")
    written = first.stat().st_mtime_ns

    done = CliRunner().invoke(app, ["resume", str(run.folder), "--output", str(tmp_path), "--runs", str(runs)])
    assert done.exit_code == 0, done.output
    assert first.stat().st_mtime_ns == written
    fitted, tested = run.recorded("fit"), run.recorded("test")
    assert (fitted["epochs"], fitted["steps"]) == (4, 8)
    assert fitted["monitor"] == "mAP"
    assert len(list((run.folder / "tensorboard").glob("events*"))) == 2
    assert run.recorded("data")["training"]["images"] == 4
    assert tested["images"] == 2
    assert tested["mAP"] == pytest.approx(fitted["score"], abs=1e-4)
    assert set(tested["mAP per class"]) == set(SHAPES)
    for plot in ("precision-recall-boxes.png", "examples.jpg"):
        assert (run.plots / plot).stat().st_size > 5_000

    description = json.loads((tmp_path / "mine" / "artifact.json").read_text())
    assert description["labels"] == LABELS
    assert description["metrics"]["mAP"] == tested["mAP"]
    assert description["reference"]["images"] == 2
    assert (tmp_path / "mine" / "extras" / "examples.jpg").is_file()
    worker = served(tmp_path / "mine", tmp_path)
    assert_answers_as_the_model(worker, tmp_path / "mine" / "sample.jpg", masks=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        {"architecture": "fasterrcnn_mobilenet_v3_large_320_fpn", "image_size": 64},
        {"architecture": "ssdlite320_mobilenet_v3_large"},
        {"architecture": "retinanet_resnet50_fpn", "image_size": 64},
        {"architecture": "maskrcnn_resnet50_fpn", "image_size": 64},
    ],
    ids=lambda model: model["architecture"],
)
def test_each_head_from_the_file_to_the_answer(model: dict[str, Any], source: dict[str, Path], tmp_path: Path) -> None:
    masks, large = model["architecture"].startswith("maskrcnn"), model["architecture"] == LARGE
    if large:
        source = tiny_coco(tmp_path / "coco", images=3)
    system = "instance-segmentation" if masks else "object-detection"
    settings = {**model, "weights": "none", "score_threshold": 0.001}
    learning = {"optimizer": "sgd", "learning_rate": 1e-4}
    mine = experiment(tmp_path / "mine.yaml", source, settings, system=system, learning=learning)
    done = CliRunner().invoke(app, [str(mine), "--output", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    run = Run.find(tmp_path / "runs", "mine")
    if masks:
        assert {"mAP", "mask mAP"} <= run.recorded("test").keys()
        assert (run.plots / "precision-recall-masks.png").stat().st_size > 5_000
    shutil.rmtree(run.checkpoints)  # hundreds of megabytes
    backend = "torch" if model["architecture"] in WITHOUT_GRAPH else "auto"
    worker = served(tmp_path / "mine", tmp_path, backend=backend)
    assert_answers_as_the_model(worker, tmp_path / "mine" / "sample.jpg", masks)


SMALL_RETINANET = """
from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN


def small() -> RetinaNet:
    layers = {"6": 32, "13": 96}
    pyramid = BackboneWithFPN(mobilenet_v2().features, {name: name for name in layers}, list(layers.values()), 32)
    sizes = ((32, 64), (64, 128), (128, 256))
    anchors = AnchorGenerator(sizes, ((1.0,),) * len(sizes))
    return RetinaNet(pyramid, 6, min_size=96, max_size=160, anchor_generator=anchors, score_thresh=0.001)
"""


@pytest.mark.slow
def test_the_graph_of_a_retinanet_answers_as_the_model(
    source: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a user's own, which is smaller than torchvision's."""
    (tmp_path / "small_retinanet.py").write_text(SMALL_RETINANET)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    model = import_module("small_retinanet").small().eval()
    sample = next(path for path in source["images"].iterdir() if path.suffix == ".jpg")
    Artifact(
        name="mine",
        task="object-detection",
        format="safetensors",
        architecture={"factory": "small_retinanet.small", "arguments": {}},
        labels=LABELS,
    ).write(tmp_path / "mine", model.state_dict(), sample)
    worker = served(tmp_path / "mine", tmp_path, code=["small_retinanet.py"])
    assert worker.handler.accelerate.describe() == {"form": "ONNX Runtime"}
    assert_answers_as_the_model(worker, sample, masks=False)


@pytest.mark.parametrize("system", ["object-detection", "instance-segmentation"])
def test_augmented_images_are_drawn(system: str, source: dict[str, Path], tmp_path: Path) -> None:
    extra = {"augmentation": {"extra": {"rotate": 20, "perspective": 0.3}}}
    model = "maskrcnn_resnet50_fpn" if system == "instance-segmentation" else "retinanet_resnet50_fpn"
    mine = experiment(tmp_path / "mine.yaml", source, {"architecture": model, "weights": "none"}, **extra)
    output = tmp_path / "grid.png"
    command = ["augmentations", str(mine), f"system={system}", "--output", str(output), "--count", "2"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    with Image.open(output) as grid:
        assert grid.width > 5 * grid.height / 2  # two rows of the image and five of what becomes of it


def test_settings_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    mine = experiment(
        tmp_path / "mine.yaml", {"images": tmp_path}, {"architecture": "maskrcnn_resnet50_fpn"}, batch_size=0
    )
    done = CliRunner().invoke(app, [str(mine), "--runs", str(tmp_path)])
    assert done.exit_code == 2
    for key in ("data.annotations", "model.architecture", "batch_size"):
        assert key in done.output


def test_paths_hold_from_anywhere(source: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source["images"])
    names = {"images": Path(), "annotations": Path("annotations.json")}
    loaded = load(str(experiment(tmp_path / "mine.yaml", names, {})))
    assert loaded.data.annotations == source["annotations"]  # type: ignore[attr-defined]


def test_reference_statistics() -> None:
    found = [
        {"labels": torch.tensor([1, 1, 2]), "scores": torch.tensor([0.9, 0.7, 0.2])},
        {"labels": torch.tensor([2]), "scores": torch.tensor([0.8])},
        {"labels": torch.tensor([], dtype=torch.int64), "scores": torch.tensor([])},
        {"labels": torch.tensor([1]), "scores": torch.tensor([0.5])},
    ]
    statistics = reference(found, ["__background__", "a", "b"], 0.5)
    assert statistics["class mix"] == {"a": 0.75, "b": 0.25}
    assert statistics["mean score"] == pytest.approx(0.725)
    assert statistics["detections per image"] == {"mean": 1.0, "parts": [0.25, 0.5, 0.25]}
