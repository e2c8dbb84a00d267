"""Small real files of every format, made by the libraries that own them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, ByT5Tokenizer


class Net(nn.Module):
    """With a parameter, a buffer and a constant, and sizes that depend on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.arange(3.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale + torch.tensor([1.0, 2.0, 3.0])


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pt2 whose batch is dynamic."""
    path = tmp_path_factory.mktemp("program") / "weights.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(Net().eval(), (torch.zeros(2, 4),), dynamic_shapes=({0: batch},)), path)
    return path


Rewrite = Callable[[Path, dict[str, bytes | None]], Path]


@pytest.fixture
def rewrite(tmp_path: Path) -> Rewrite:
    """(zip, contents by name without the first folder, None to leave out) → the changed zip."""

    def change(path: Path, changes: dict[str, bytes | None]) -> Path:
        target = tmp_path / path.name
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
            root = source.namelist()[0].partition("/")[0]
            content = {name.partition("/")[2]: source.read(name) for name in source.namelist()}
            for name, value in {**content, **changes}.items():
                if value is not None:
                    archive.writestr(f"{root}/{name}", value)
        return target

    return change


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torchvision  # noqa: F401 - its operators

    path = tmp_path_factory.mktemp("script") / "weights.pt"
    torch.jit.script(nn.Sequential(nn.Linear(4, 2), nn.ReLU())).save(path)
    return path


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tensors") / "weights.safetensors"
    save_file({"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.float16), "none": torch.zeros(0)}, path)
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x + w, with w kept in a file beside it."""
    path = tmp_path_factory.mktemp("graph") / "graph.onnx"
    weight = onnx.numpy_helper.from_array(np.ones(2000, np.float32), "w")
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2000]) for name in "xy")
    made = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    onnx.save(onnx.helper.make_model(made), path, save_as_external_data=True, location="weights.data", size_threshold=0)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    configuration = BertConfig(
        vocab_size=384, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    BertForSequenceClassification(configuration).save_pretrained(path)
    ByT5Tokenizer().save_pretrained(path)
    return path
