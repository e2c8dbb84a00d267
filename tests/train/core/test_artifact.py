"""State dicts as people have them: wrapped, tied, views of one another; and those that no artifact can hold."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from handlers.networks.weights import load_weights
from train.core.artifact import Artifact
from train.core.config import ExperimentError


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 3)
        self.head = nn.Linear(3, 4, bias=False)
        self.head.weight = self.embedding.weight


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "part.JPEG"
    path.write_bytes(b"\xff\xd8\xff")
    return path


def written(folder: Path, weights: dict[str, Any], sample: Path) -> Path:
    architecture = {"factory": "torchvision.models.resnet18", "arguments": {}}
    artifact = Artifact(name="m", task="image-classification", format="safetensors", architecture=architecture)
    return artifact.write(folder / "m", weights, sample)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_the_prefixes_of_wrappers(prefix: str, tmp_path: Path, sample: Path) -> None:
    network, other = nn.Linear(2, 3), nn.Linear(2, 3)
    state = {f"{prefix}{name}": value for name, value in network.state_dict().items()}
    load_weights(other, written(tmp_path, state, sample) / "weights.safetensors")
    torch.testing.assert_close(other.weight, network.weight)


def test_a_network_with_a_module_called_module(tmp_path: Path, sample: Path) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 3)

    network, other = Outer(), Outer()
    load_weights(other, written(tmp_path, network.state_dict(), sample) / "weights.safetensors")
    torch.testing.assert_close(other.module.weight, network.module.weight)


def test_a_jpeg_by_any_name(tmp_path: Path, sample: Path) -> None:
    assert (written(tmp_path, nn.Linear(2, 3).state_dict(), sample) / "sample.jpg").is_file()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"state_dict": {}, "epoch": 3}, r"'state_dict' is not a tensor; pass checkpoint\['state_dict'\]"),
        ({"epoch": 3, "model_state_dict": {}}, r"pass checkpoint\['model_state_dict'\]"),
        ({"model": {}, "optimizer": {}}, r"pass checkpoint\['model'\]"),
        ({"epoch": 3}, "'epoch' is not a tensor$"),
        ({"base.q.lora_A.default.weight": torch.zeros(1)}, "LoRA adapter; merge it first"),
    ],
)
def test_what_is_not_a_state_dict(weights: dict[str, Any], message: str, tmp_path: Path, sample: Path) -> None:
    with pytest.raises(ExperimentError, match=message):
        written(tmp_path, weights, sample)
    assert not (tmp_path / "m").exists()


def test_tied_weights(tmp_path: Path, sample: Path) -> None:
    network, other = Tied(), Tied()
    load_weights(other, written(tmp_path, network.state_dict(), sample) / "weights.safetensors")
    torch.testing.assert_close(other.head.weight, network.embedding.weight)
    assert other.head.weight is other.embedding.weight
    save_model(network, str(tmp_path / "one-name.safetensors"))
    assert len(load_file(tmp_path / "one-name.safetensors")) == 1
    again = Tied()
    load_weights(again, tmp_path / "one-name.safetensors")
    torch.testing.assert_close(again.embedding.weight, network.embedding.weight)


def test_views_of_one_tensor(tmp_path: Path, sample: Path) -> None:
    whole = torch.arange(12.0).view(4, 3)
    state: dict[str, Tensor] = {"a": whole[:2], "b": whole.t(), "c": whole}
    stored = load_file(written(tmp_path, state, sample) / "weights.safetensors")
    for name, value in state.items():
        torch.testing.assert_close(stored[name], value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.zeros(3, 2)}, "the weights are not the network's: missing: bias$"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "x": torch.zeros(1)}, "left over: x$"),
        ({"weight": torch.zeros(2, 2), "bias": torch.zeros(3)}, r"weight is \(2, 2\), wanted \(3, 2\)"),
    ],
)
def test_weights_of_another_network(state: dict[str, Tensor], message: str, tmp_path: Path, sample: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_weights(nn.Linear(2, 3), written(tmp_path, state, sample) / "weights.safetensors")
