"""A graph that takes its tensors from the weights' file answers as it did with its own."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from archiver.external_tensors import MIN_BYTES, without_shared
from handlers.acceleration.onnx_runtime import OnnxGraph, export
from handlers.formats.onnx import external_files
from train.core.stored_weights import round_weights

SIZE = 64
INPUTS = torch.randn(3, 3, SIZE, generator=torch.Generator().manual_seed(1))


class Network(nn.Module):
    """A convolution that is merged with its batch norm, and layers whose matrices a graph has the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(3, 32, 5, bias=False)
        self.norm = nn.BatchNorm1d(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.head = nn.Linear(32, 40)
        self.norm.running_mean = torch.randn(32)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        states = self.norm(self.convolution(inputs)).transpose(1, 2)
        return (self.head(self.attention(states, states, states, need_weights=False)[0]),)


class Tupled(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.network(inputs),)


@pytest.fixture(params=["float32", "float16", "bfloat16"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path, list[np.ndarray]]:
    """A graph with all of its tensors, weights that the same network is stored in, and the graph's answers."""
    torch.manual_seed(0)
    network, dtype = Network().eval(), getattr(torch, request.param)
    if dtype == torch.float16:
        round_weights(network, "float16")
    with torch.no_grad():
        for weight in network.state_dict().values():
            weight.copy_(weight.to(dtype))
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    (tmp_path / "weights").mkdir()
    save_file(weights, tmp_path / "weights" / "model.safetensors")
    export(network, INPUTS[:1], (0,), tmp_path / "whole.onnx")
    answers = OnnxGraph(tmp_path / "whole.onnx", 1)(INPUTS)
    return tmp_path / "whole.onnx", tmp_path / "weights" / "model.safetensors", [answer.numpy() for answer in answers]


def test_the_answers_stay_and_no_weight_is_there_twice(stored: tuple[Path, Path, list[np.ndarray]]) -> None:
    whole, weights, answers = stored
    graph = whole.with_name("graph.onnx")
    graph.write_bytes(without_shared(whole, {"weights/model.safetensors": weights}))
    model = onnx.load(graph, load_external_data=False)
    inside = [tensor.name for tensor in model.graph.initializer if len(tensor.raw_data) >= MIN_BYTES]
    assert not inside
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == tensor.EXTERNAL]
    assert len(outside) == 4
    assert external_files(graph) == ["weights/model.safetensors"]
    for found, wanted in zip(OnnxGraph(graph, 1)(INPUTS), answers, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_a_worker_finds_them_through_a_link_to_its_folder(stored: tuple[Path, Path, list[np.ndarray]]) -> None:
    """TorchServe links a model that is served from a folder."""
    whole, weights, answers = stored
    whole.write_bytes(without_shared(whole, {"weights/model.safetensors": weights}))
    link = whole.parent.with_name(f"{whole.parent.name}-link")
    link.symlink_to(whole.parent, target_is_directory=True)
    assert external_files(link / whole.name) == ["weights/model.safetensors"]
    np.testing.assert_allclose(OnnxGraph(link / whole.name, 1)(INPUTS)[0].numpy(), answers[0], atol=1e-6)


def test_a_place_past_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(SIZE, SIZE))
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    export(Tupled(network), INPUTS, (0,), tmp_path / "graph.onnx")
    files = {"weights.safetensors": tmp_path / "weights.safetensors"}
    model = onnx.ModelProto.FromString(without_shared(tmp_path / "graph.onnx", files))
    [offset] = [entry for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "offset"]
    for value in (1 << 20, -8, 1 << 62):
        offset.value = str(value)
        (tmp_path / "graph.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(Exception, match=r"[Oo]ffset|out of bounds|external"):
            OnnxGraph(tmp_path / "graph.onnx", 1)


@pytest.mark.parametrize("form", ["torchscript", "torch-export"])
def test_a_program_holds_its_weights_where_a_graph_finds_them(form: str, tmp_path: Path) -> None:
    network = Tupled(nn.Linear(SIZE, SIZE)).eval()
    path = tmp_path / ("weights.pt" if form == "torchscript" else "weights.pt2")
    if form == "torchscript":
        torch.jit.trace(network, INPUTS).save(path)
    else:
        torch.export.save(torch.export.export(network, (INPUTS,)), path)
    export(network, INPUTS, (0,), tmp_path / "graph.onnx")
    before = OnnxGraph(tmp_path / "graph.onnx", 1)(INPUTS)[0]
    size = (tmp_path / "graph.onnx").stat().st_size
    (tmp_path / "graph.onnx").write_bytes(without_shared(tmp_path / "graph.onnx", {path.name: path}))
    assert (tmp_path / "graph.onnx").stat().st_size < size - SIZE * SIZE * 4 + 1024
    torch.testing.assert_close(OnnxGraph(tmp_path / "graph.onnx", 1)(INPUTS)[0], before)
