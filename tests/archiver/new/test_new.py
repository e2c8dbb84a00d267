"""`bundle new`: what each format of weights says, and what is refused, with the way out."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
import torchvision
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import nn

from archiver.errors import SpecError
from archiver.new.kinds import Options
from archiver.new.writing import Places
from archiver.package import resolve
from tests.inputs import IMAGES, encoded
from tests.new_models import new, served

ROW = {"body": encoded(IMAGES[0]), "content-type": b"image/png"}
LABELS = ["cat", "dog", "bird"]


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=3).eval()


class OfOneOwn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS))
    return path


@torch.inference_mode()
@pytest.mark.parametrize("form", ["state.pth", "checkpoint.pth", "lightning.ckpt", "state.safetensors"])
def test_a_state_dict_of_torchvisions_is_recognised(tmp_path: Path, labels: Path, form: str) -> None:
    network = resnet()
    state, path = network.state_dict(), tmp_path / form
    if form == "state.pth":
        torch.save(state, path)
    elif form == "checkpoint.pth":
        torch.save({"epoch": 3, "model": {f"module.{name}": value for name, value in state.items()}}, path)
    elif form == "lightning.ckpt":
        torch.save({"state_dict": {f"model.{name}": value for name, value in state.items()}, "loops": {}}, path)
    else:
        save_file(state, path)
    worker = served(path, tmp_path / "recognised", about=Options(architecture="resnet18"))
    spec = yaml.safe_load((tmp_path / "recognised" / "recognised.yaml").read_text())
    assert spec["architecture"] == {
        "factory": "torchvision.models.resnet.resnet18",
        "arguments": {"weights": None, "num_classes": 3},
    }
    [answer] = worker.json(ROW)
    transform = worker.handler.transform
    pixels = torch.from_numpy(np.array(IMAGES[0])).permute(2, 0, 1)
    wanted = network(transform(pixels)[None]).softmax(1)[0]
    assert [found["label"] for found in answer["predictions"]] == [LABELS[i] for i in wanted.argsort(descending=True)]
    assert answer["predictions"][0]["probability"] == pytest.approx(wanted.max().item(), abs=1e-4)


def test_one_of_ones_own_says_what_is_to_be_filled_in(tmp_path: Path) -> None:
    torch.save(OfOneOwn().state_dict(), tmp_path / "own.pth")
    spec = new(
        tmp_path / "own.pth", tmp_path / "own", Options(task="image-classification", architecture="net.OfOneOwn")
    )
    text = spec.read_text()
    assert "factory: net.OfOneOwn" in text
    with pytest.raises(SpecError, match=r"factory 'net\.OfOneOwn' is not in torchvision"):
        resolve(spec, spec.parent)


def whole(path: Path) -> None:
    torch.save(resnet(), path)


def beside_settings(path: Path) -> None:
    settings, best = argparse.Namespace(rate=0.1), np.float64(0.5)
    torch.save(
        {"epoch": 3, "args": settings, "best": best, "model": resnet().state_dict(), "scheduler": Fraction(1, 3)}, path
    )


def inside(path: Path) -> None:
    network = resnet()
    torch.save({"model": network, "optimizer": torch.optim.SGD(network.parameters(), 0.1), "notes": ["a", "b"]}, path)


def with_spaces(path: Path) -> None:
    torch.save({"state_dict": resnet().state_dict(), "hyper_parameters": {"loss": Fraction(1, 3)}}, path)


@pytest.mark.parametrize("write", [whole, beside_settings, inside, with_spaces])
def test_what_weights_only_does_not_read_is_refused_with_the_command(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    """From another folder than that of the file, whose name need not be plain."""
    path = tmp_path / ('it\'s "my" $HOME.pth' if write is with_spaces else "whole.pt")
    write(path)
    with pytest.raises(
        SpecError, match=r"is a pickle that makes objects of [\w.]+, which.*convert it: python -c"
    ) as refused:
        new(path, tmp_path / "whole")
    command = str(refused.value).partition("convert it: ")[2]
    subprocess.run(["/bin/sh", "-c", command.replace("python ", f"{sys.executable} ", 1)], cwd="/", check=True)
    found = path.with_name(f"{path.stem}-state.pth")
    spec = new(found, tmp_path / "converted", Options(architecture="resnet18"))
    assert resolve(spec, spec.parent).labels == ["class 0", "class 1", "class 2"]


@torch.inference_mode()
@pytest.mark.parametrize("form", ["script.pt", "program.pt2"])
def test_programs_are_served_for_the_task_that_is_named(tmp_path: Path, labels: Path, form: str) -> None:
    network, path = OfOneOwn().eval(), tmp_path / form
    if form == "script.pt":
        torch.jit.script(network).save(path)
    else:
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(network, (torch.zeros(2, 3, 224, 224),), dynamic_shapes=({0: batch},))
        torch.export.save(program, path)
    with pytest.raises(SpecError, match="does not say what it is for: name the task, --task image-classification or"):
        new(path, tmp_path / "unnamed")
    worker = served(path, tmp_path / "program", about=Options(task="image-classification"))
    [answer] = worker.json(ROW)
    pixels = torch.from_numpy(np.array(IMAGES[0])).permute(2, 0, 1)
    wanted = network(worker.handler.transform(pixels)[None]).softmax(1)[0]
    assert answer["predictions"][0]["probability"] == pytest.approx(wanted.max().item(), abs=1e-4)
    assert {found["label"] for found in answer["predictions"]} == set(LABELS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.h5", r"files \.h5 are not supported.*tf2onnx.convert --keras"),
        ("model.pkl", r"a pickle runs code when it is loaded"),
        ("absent.pth", r"absent.pth: 1 problem\n  the weights: does not exist"),
        ("broken.onnx", r"is not an ONNX graph"),
        ("broken.pth", r"cannot be read by torch.load\(weights_only=True\)"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / name
    if not name.startswith("absent"):
        path.write_bytes(b"\xffnothing of the kind")
    with pytest.raises(SpecError, match=message):
        new(path, tmp_path / "refused")


def test_custom_operators_are_refused(tmp_path: Path) -> None:
    node = helper.make_node("Secret", ["images"], ["found"], domain="com.example")
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([node], "custom", [images], [found])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("com.example", 1)]), tmp_path / "custom.onnx")
    with pytest.raises(SpecError, match=r"uses operators of com\.example, which are in a library of code"):
        new(tmp_path / "custom.onnx", tmp_path / "custom")


def test_tensors_beside_the_file_travel_with_it(tmp_path: Path, labels: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 192)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"], transB=1),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "linear", [images], [logits], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    worker = served(tmp_path / "m.onnx", tmp_path / "external", backend="auto")
    [answer] = worker.json(ROW)
    pixels = torch.from_numpy(np.array(IMAGES[0])).permute(2, 0, 1)
    wanted = torch.from_numpy(weights) @ worker.handler.transform(pixels).flatten()
    assert answer["predictions"][0]["label"] == LABELS[wanted.argmax()]
    assert answer["predictions"][0]["probability"] == pytest.approx(wanted.softmax(0).max().item(), abs=1e-4)


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "m.pth")
    new(tmp_path / "m.pth", tmp_path / "m", Options(architecture="resnet18"))
    root = tmp_path / "m"
    with pytest.raises(SpecError, match="the name: is already used"):
        Places(root / "m", root / "m.yaml", root / "m.labels.txt").check()


@torch.inference_mode()
@pytest.mark.parametrize("form", ["folder", "state.pth"])
def test_a_model_of_timm_answers_as_timm_itself(tmp_path: Path, labels: Path, form: str) -> None:
    """Through timm's own data configuration, transform and network."""
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=3).eval()
    if form == "folder":
        path = tmp_path / "folder"
        timm.models.save_for_hf(network, str(path), model_config={"label_names": LABELS}, safe_serialization=True)
        about = Options()
    else:
        path, about = tmp_path / form, Options(architecture="timm/resnet10t")
        torch.save(network.state_dict(), path)
    worker = served(path, tmp_path / "timm", about)
    transform = create_transform(**resolve_data_config({}, model=network))
    wanted = network(transform(IMAGES[0])[None]).softmax(1)[0]
    [answer] = worker.json(ROW)
    assert [found["label"] for found in answer["predictions"]] == [LABELS[i] for i in wanted.argsort(descending=True)]
    # timm resizes by Pillow, we by torchvision, which differs by a level of 255 here and there.
    assert answer["predictions"][0]["probability"] == pytest.approx(wanted.max().item(), abs=2e-3)
