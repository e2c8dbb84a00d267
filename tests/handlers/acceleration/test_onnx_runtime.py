"""A graph answers as the model does, or is not written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from deploy.configuration import PROJECT
from handlers.acceleration.accelerate import Acceleration
from handlers.acceleration.onnx_runtime import GraphError, OnnxGraph, export
from handlers.networks.normalised import Normalised
from handlers.vision.transform import ImageTransform

TRANSFORM = ImageTransform(resize=64, crop=(64, 64))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return Normalised(mobilenet_v2(weights=None, num_classes=5), TRANSFORM).eval()


def test_it_equals_the_model_at_every_batch_size(network: nn.Module, tmp_path: Path) -> None:
    export(network, TRANSFORM.example(), (0,), tmp_path / "graph.onnx")
    graph = OnnxGraph(tmp_path / "graph.onnx", 1)
    for size in (1, 2, 7):
        images = torch.randint(0, 256, (size, 3, 64, 64), dtype=torch.uint8)
        with torch.inference_mode():
            torch.testing.assert_close(graph(images), network(images), atol=1e-5, rtol=0)


def test_the_same_model_gives_the_same_bytes(network: nn.Module, tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        export(network, TRANSFORM.example(), (0,), tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


class Branching(nn.Module):
    """Does something else for bright images: a trace would keep one branch for good."""

    def forward(self, images: Tensor) -> tuple[Tensor]:
        means = images.float().mean((2, 3))
        return (means if float(means.mean()) > 100 else -means,)


class Listing(nn.Module):
    def forward(self, images: Tensor) -> list[object]:
        return [object(), images]


@pytest.mark.parametrize(("module", "said"), [(Branching(), "its output would differ by"), (Listing(), "object")])
def test_a_model_it_would_change_or_cannot_hold_is_not_written(module: nn.Module, said: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=said):
        export(module, TRANSFORM.example(), (0,), tmp_path / "graph.onnx")
    assert not list(tmp_path.iterdir())


def test_a_worker_takes_the_graph_on_a_cpu_and_never_builds_the_model(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    assert Acceleration(CPU, 1, path, export=path)(lambda: network, TRANSFORM.example()) is network

    def never() -> nn.Module:
        raise AssertionError("the model was built")

    assert isinstance(Acceleration(CPU, 1, path)(never, TRANSFORM.example()), OnnxGraph)


def test_without_a_graph_it_freezes_the_model(network: nn.Module, tmp_path: Path) -> None:
    found = Acceleration(CPU, 1, tmp_path / "none.onnx")(lambda: network, TRANSFORM.example())
    assert isinstance(found, torch.jit.ScriptModule)


def test_it_reports_to_nobody(tmp_path: Path) -> None:
    """Its telemetry would keep an identifier of the device in the user's home, and has a thread of its own."""
    script = "import handlers, onnxruntime, os; print(len(os.listdir('/proc/self/task')))"
    environment = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI"):
        environment.pop(name, None)
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"
    assert list(tmp_path.rglob("*")) == []
