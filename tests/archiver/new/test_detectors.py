"""`bundle new` for masks, keypoints and boxes in files that do not say what they are for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
import yaml
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from archiver.errors import SpecError
from archiver.new.kinds import Options, read
from archiver.package import resolve
from handlers.artifact import LoadError
from tests import scripted_detectors, tiny_networks
from tests.inputs import IMAGES, encoded
from tests.new_models import new, served
from tests.tiny_exports import NAMES, Grid, to_onnx

PERSON = ["person"]
IMAGE = IMAGES[0].resize((64, 64))
ROW = {"body": encoded(IMAGE), "content-type": b"image/png", "score_threshold": b"0"}


class Images(nn.Module):
    """Of torchvision's contract and of one's own: nothing tells how many classes and keypoints it has."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [{"boxes": image[0, :4, :4]} for image in images]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scripts")
    for name, content in scripted_detectors.scripts().items():
        (root / f"{name}.pt").write_bytes(content)
    torch.jit.script(Images()).save(root / "own.pt")
    torch.jit.trace(Grid(), torch.zeros(1, 3, 64, 64)).save(root / "batch.pt")
    torch.export.save(torch.export.export(Grid(), (torch.zeros(1, 3, 64, 64),)), root / "batch.pt2")
    return root


def test_torchscript_names_what_torchvisions_parts_tell(scripts: Path, tmp_path: Path) -> None:
    spec = new(scripts / "keypoints.pt", tmp_path / "people", Options(task="keypoint-detection"))
    found = yaml.safe_load(spec.read_text())
    assert found["preprocessing"]["keypoints"] == [f"keypoint {index}" for index in range(4)]
    assert resolve(spec, spec.parent).labels == ["class 0", "class 1"]
    boxes = new(scripts / "keypoints.pt", tmp_path / "boxes", Options(task="object-detection"))
    assert "preprocessing" not in yaml.safe_load(boxes.read_text())


MASKS, POINTS, BOXES = "instance-segmentation", "keypoint-detection", "object-detection"


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("masks.pt", POINTS, r"holds no roi_heads\.keypoint_predictor"),
        ("keypoints.pt", MASKS, r"holds no roi_heads\.mask_predictor"),
        ("batch.pt", MASKS, r"TorchScript that takes a batch of images, and instance-segmentation wants .* a list"),
        ("batch.pt2", POINTS, r"torch\.export that takes a batch of images, .*name its state dict"),
    ],
)
def test_a_program_for_another_task_is_refused(
    scripts: Path, tmp_path: Path, name: str, task: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        new(scripts / name, tmp_path / "refused", Options(task=task))


@pytest.mark.parametrize(
    ("name", "task", "wanted"),
    [
        ("own.pt", POINTS, "preprocessing: {keypoints: [the name of each]}"),
        ("batch.pt", BOXES, "preprocessing: {size, output}"),
        ("batch.pt2", BOXES, "preprocessing: {size, output}"),
    ],
)
def test_what_a_program_does_not_tell_is_to_be_filled_in(
    scripts: Path, tmp_path: Path, name: str, task: str, wanted: str
) -> None:
    missing = read(scripts / name, Options(task=task), tmp_path).missing
    assert missing[0] == "labels: the name of each class, as --labels FILE"
    assert missing[1].startswith(wanted)


def test_a_build_names_what_was_not_filled_in(scripts: Path, tmp_path: Path) -> None:
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(NAMES))
    with pytest.raises(SpecError, match=r"preprocessing\.keypoints: missing; docs/own-model\.md lists what keypoint-"):
        served(scripts / "own.pt", tmp_path / "own", Options(task=POINTS, labels=labels))
    with pytest.raises(SpecError, match=r"preprocessing\.output: missing; docs/own-model\.md lists what object-det"):
        served(scripts / "batch.pt2", tmp_path / "program", Options(task=BOXES, labels=labels))
    with pytest.raises(LoadError, match=r"preprocessing\.output: missing: the program takes Tensor"):
        served(scripts / "batch.pt", tmp_path / "script", Options(task=BOXES, labels=labels))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keypoint R-CNN, exported for a batch of one image."""
    path = tmp_path_factory.mktemp("graph") / "people.onnx"
    torch.manual_seed(0)
    network = tiny_networks.keypoint_rcnn(2, 4)
    return export(network, path, torch.zeros(1, 3, 64, 64))


def export(network: nn.Module, path: Path, example: Any) -> Path:
    names = ["boxes", "labels", "scores", "keypoints", "keypoints_scores"]
    torch.onnx.export(
        network.eval(), (example,), path, dynamo=False, input_names=["images"], output_names=names, opset_version=17
    )
    return path


@pytest.mark.parametrize(("names", "first"), [(PERSON, 0), (["__background__", *PERSON], 1)])
def test_names_with_the_background_and_without(people: Path, tmp_path: Path, names: list[str], first: int) -> None:
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(names))
    worker = served(people, tmp_path / "people", Options(labels=labels), backend="auto")
    session = onnxruntime.InferenceSession(people)
    boxes, found, scores = session.run(
        ["boxes", "labels", "scores"], {"images": (pil_to_tensor(IMAGE) / 255)[None].numpy()}
    )
    [answer] = worker.json(ROW)
    assert len(answer["detections"]) == len(found) > 0
    assert {(each["label"], each["index"]) for each in answer["detections"]} == {("person", first)}
    best = answer["detections"][0]
    assert best["score"] == pytest.approx(scores[0], abs=1e-4)
    assert best["box"] == pytest.approx(boxes[0].tolist(), abs=0.1)


def test_a_background_that_is_named_and_left_out(people: Path, tmp_path: Path) -> None:
    output = {"layout": "separate", "boxes": "xyxy", "no_object": "first"}
    output["names"] = {role: role for role in ("boxes", "scores", "labels")}  # type: ignore[assignment]
    with pytest.raises(ValueError, match="the background has no label, and the first label is 'background'"):
        served(
            people,
            tmp_path / "people",
            backend="auto",
            labels=["background", *PERSON],
            preprocessing={"size": [64, 64], "output": output},
        )


def test_what_is_not_read_from_a_graph(people: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="masks and keypoints are not read from ONNX files; name its state dict"):
        new(people, tmp_path / "points", Options(task=POINTS))
    alone = export(tiny_networks.keypoint_rcnn(2, 4), tmp_path / "alone.onnx", [torch.zeros(3, 64, 64)])
    with pytest.raises(SpecError, match=r"its input is one image, .*; export it with \(1, 3, height, width\)"):
        new(alone, tmp_path / "alone")


@pytest.mark.parametrize("task", ["semantic-segmentation", "depth-estimation"])
def test_outputs_of_another_task(task: str, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))
    path = to_onnx(network, tmp_path / "classes.onnx", 8, ["logits"])
    with pytest.raises(SpecError, match=rf"its output is \['batch', 3\]; {task} wants \(N, .*height, width\)"):
        new(path, tmp_path / "refused", Options(task=task))


def state_dict(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


def graph(path: Path) -> None:
    to_onnx(Grid(), path, 64, ["output0"])


def script(path: Path) -> None:
    torch.jit.trace(nn.ReLU(), torch.zeros(1)).save(path)


def program(path: Path) -> None:
    torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(1),)), path)


@pytest.mark.parametrize("task", ["text-generation", "speech-recognition", "zero-shot-image-classification"])
@pytest.mark.parametrize(
    ("name", "write"), [("a.pth", state_dict), ("a.onnx", graph), ("a.pt", script), ("a.pt2", program)]
)
def test_models_with_a_tokenizer_come_as_folders(
    name: str, write: Callable[[Path], None], task: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(
        SpecError, match=f"--task {task}: such a model needs its tokenizer; name its Hugging Face folder"
    ):
        new(tmp_path / name, tmp_path / "refused", Options(task=task))


def test_a_task_without_classes_wants_no_names(tmp_path: Path) -> None:
    state_dict(tmp_path / "own.pth")
    missing = read(tmp_path / "own.pth", Options(task="voice-activity"), tmp_path).missing
    assert [thing.partition(":")[0] for thing in missing] == [
        "architecture",
        "preprocessing",
    ]
