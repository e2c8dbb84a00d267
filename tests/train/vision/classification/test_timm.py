"""timm's models as backbones: trained, exported, archived and served as timm itself would answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import nn
from torch.nn import functional as F

from handlers.networks.classifier import classifier
from handlers.networks.layers import WithLayers, embedding_layer
from tests.handlers.vision.served import packed
from tests.handlers.worker import Worker
from tests.hub import local_hub
from tests.train.images import write_folders
from tests.train.vision.classification.command import call, write_experiment
from train.core.config import ExperimentError
from train.vision.classification.backbones import backbone
from train.vision.classification.models import freeze, heads, parameter_groups

# A network of each way to build a head; the last one has two.
NETWORKS = {
    "resnet10t": ("fc.",),
    "mobilenetv3_small_050": ("classifier.",),
    "convnext_atto": ("head.fc.",),
    "test_vit": ("head.",),
    "deit_tiny_distilled_patch16_224": ("head.", "head_dist."),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return classifier(f"timm/{name}", 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_with_a_frozen_backbone_changes_the_heads_alone(name: str) -> None:
    network = build(name)
    assert heads(network) == NETWORKS[name]
    freeze(network, "backbone")
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimizer = torch.optim.AdamW(parameter_groups(network, 1e-2, 0.1, 0.05))
    images = torch.randn(2, *network.pretrained_cfg["input_size"])  # type: ignore[index]
    F.cross_entropy(network.eval()(images), torch.tensor([0, 2])).backward()
    optimizer.step()
    changed = {key for key, value in network.named_parameters() if not torch.equal(value, before[key])}
    assert changed
    assert all(key.startswith(NETWORKS[name]) for key in changed)


@torch.inference_mode()
@pytest.mark.parametrize("name", NETWORKS)
def test_the_embedding_is_timms_own(name: str) -> None:
    network: Any = build(name).eval()
    images = torch.randn(2, *network.pretrained_cfg["input_size"])
    logits, embedding = WithLayers(network, [(embedding_layer(network), "pooled")])(images)
    torch.testing.assert_close(logits, network(images))
    wanted = network.forward_head(network.forward_features(images), pre_logits=True)
    torch.testing.assert_close(embedding, wanted.flatten(1))


@torch.inference_mode()
def test_other_layers_beside_it() -> None:
    network: Any = build("resnet10t").eval()
    images = torch.randn(2, 3, 64, 64)
    logits, embedding, maps = WithLayers(network, [("pre_logits", "pooled"), ("layer2", "map")])(images)
    torch.testing.assert_close(logits, network(images))
    torch.testing.assert_close(embedding, network.forward_head(network.forward_features(images), pre_logits=True))
    stem = network.layer1(network.maxpool(network.act1(network.bn1(network.conv1(images)))))
    torch.testing.assert_close(maps, network.layer2(stem))


def test_from_training_to_an_answer(tmp_path: Path) -> None:
    """Compared with timm: its network with the stored weights, its data configuration, its transform."""
    write_folders(tmp_path / "data", 12)
    learning = {"learning_rate": 5e-3, "backbone_rate": 1.0}
    over: dict[str, Any] = {"model": "timm/test_resnet", "weights": None, "image_size": 64, "learning": learning}
    experiment = write_experiment(tmp_path, "colours", {"folder": str(tmp_path / "data")}, **over)
    call(experiment, "--output", tmp_path, "--runs", tmp_path / "runs")
    described = json.loads((tmp_path / "colours" / "artifact.json").read_text())
    assert described["architecture"]["arguments"] == {"model": "timm/test_resnet", "classes": 3}
    assert described["preprocessing"]["embedding"] == "pre_logits"
    assert described["metrics"]["accuracy"] > 0.5
    worker = Worker(packed(tmp_path / "colours", backend="onnxruntime"), tmp_path / "unpacked")

    network: Any = timm.create_model("test_resnet", num_classes=3)
    network.load_state_dict(load_file(tmp_path / "colours" / "weights.safetensors"))
    config = resolve_data_config(
        {"input_size": (3, 64, 64), **{key: described["preprocessing"][key] for key in ("mean", "std")}}, model=network
    )
    transform = create_transform(**config)
    for path in sorted((tmp_path / "data" / "red").glob("*.png")):
        row = {"body": path.read_bytes(), "content-type": b"image/png", "embedding": b"true"}
        [answer] = worker.json(row)
        with torch.inference_mode():
            images = transform(Image.open(path).convert("RGB"))[None]
            expected = network.eval()(images).softmax(1)[0]
            embedding = network.forward_head(network.forward_features(images), pre_logits=True)[0]
        found = {each["index"]: each["probability"] for each in answer["predictions"]}
        # timm resizes by Pillow, we by torchvision, which differs by a level of 255 here and there.
        np.testing.assert_allclose([found[index] for index in range(3)], expected.numpy(), atol=1e-2)
        np.testing.assert_allclose(answer["embedding"], embedding.numpy(), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("weights", ["DEFAULT", "r160_in1k"])
def test_published_weights_come_by_timms_own_loader(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = timm.create_model("test_vit", num_classes=1000)
    folder = tmp_path / "repository"
    folder.mkdir()
    save_file(published.state_dict(), folder / "model.safetensors")
    network = classifier("timm/test_vit", 3, img_size=96)
    drawn = network.state_dict()["head.weight"].clone()
    with local_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["timm/test_vit.r160_in1k"] = folder
        backbone("timm/test_vit", weights, 96).load(network)
        assert any(path.endswith("model.safetensors") for path in hub.asked)
    state = network.state_dict()
    assert torch.equal(state["blocks.0.attn.qkv.weight"], published.state_dict()["blocks.0.attn.qkv.weight"])
    assert torch.equal(state["head.weight"], drawn)
    assert state["pos_embed"].shape != published.state_dict()["pos_embed"].shape  # of another image size


def test_a_hub_without_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        local_hub(tmp_path / "cache", monkeypatch),
        pytest.raises(ExperimentError, match=r"weights: timm's test_vit cannot be downloaded"),
    ):
        backbone("timm/test_vit", "DEFAULT", None).load(classifier("timm/test_vit", 3))


def test_the_transform_is_that_of_the_published_weights() -> None:
    found = backbone("timm/resnet10t", "DEFAULT", None)
    config = timm.get_pretrained_cfg("resnet10t")
    assert config is not None
    transform = found.transform({"mean": [0.1] * 3, "std": [0.2] * 3})
    assert (found.side, found.arguments()) == (176, {})
    assert (transform.resize, transform.crop, transform.interpolation) == (201, (176, 176), config.interpolation)
    assert (transform.mean, transform.std) == (config.mean, config.std)
    assert backbone("timm/vit_tiny_patch16_224", None, 96).arguments() == {"img_size": 96}
    assert backbone("timm/resnet18.a2_in1k", "DEFAULT", None).published == "resnet18.a2_in1k"  # type: ignore[attr-defined]
    own = backbone("timm/resnet10t", None, 64).transform({"mean": [0.1] * 3, "std": [0.2] * 3})
    assert (own.crop, own.mean) == ((64, 64), (0.1, 0.1, 0.1))


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("timm/resnet19", None, "timm has no model 'resnet19'"),
        ("timm/resnet18", "a9_in1k", "timm's resnet18 has no weights 'a9_in1k'; wanted one of a1_in1k"),
        ("timm/darknet17", "DEFAULT", "it has no weights; wanted null"),
    ],
)
def test_names_that_do_not_exist(model: str, weights: str | None, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        backbone(model, weights, None)
