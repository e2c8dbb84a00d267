"""Every published set of weights answers as in torchvision's own builder, with random numbers for the weights.

The builder is torchvision's, told which weights it is to load; in the place of its download stand random tensors of the
shapes that its network has at that moment. The same tensors go through `system: pretrained` and a worker's loader.
"""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_builder, get_model_weights, list_models

import train.export.torchvision as exported
from handlers.artifact import Artifact
from handlers.loader import load_model
from handlers.networks.classifier import classifier, derived
from train.core.config import ExperimentError
from train.core.experiment import load

SMALL = [
    ("googlenet", "IMAGENET1K_V1", "image-classification"),
    ("mnasnet0_5", "IMAGENET1K_V1", "image-classification"),
    ("inception_v3", "IMAGENET1K_V1", "image-classification"),
    ("lraspp_mobilenet_v3_large", "COCO_WITH_VOC_LABELS_V1", "semantic-segmentation"),
    ("retinanet_resnet50_fpn", "COCO_V1", "object-detection"),
]
LARGE = [
    ("deeplabv3_mobilenet_v3_large", "COCO_WITH_VOC_LABELS_V1", "semantic-segmentation"),
    ("ssdlite320_mobilenet_v3_large", "COCO_V1", "object-detection"),
    ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", "image-classification"),
    ("fasterrcnn_resnet50_fpn", "COCO_V1", "object-detection"),
    ("maskrcnn_resnet50_fpn", "COCO_V1", "instance-segmentation"),
    ("keypointrcnn_resnet50_fpn", "COCO_V1", "keypoint-detection"),
]
# All that torchvision has, one after the other: half an hour, and 8 GB for the largest.
EVERY = [
    (name, weights.name, task)
    for module, task in (
        ("torchvision.models", "image-classification"),
        ("torchvision.models.segmentation", "semantic-segmentation"),
        ("torchvision.models.detection", "object-detection"),
    )
    for name in list_models()
    if get_model_builder(name).__module__.rpartition(".")[0] == module and not name.startswith("keypoint")
    for weights in get_model_weights(name)
    if weights.meta["categories"]
]
SMALLEST = {"ssd300_vgg16": 300}  # pixels; its last maps have nothing left of fewer
# Seconds. The largest, of 633 million weights on images of 518 pixels, are drawn, written, read and run twice, which on
# two cores that do other things too takes longer than any other test.
LIMIT = 3600
CASES = (
    [pytest.param(*case, marks=pytest.mark.timeout(LIMIT)) for case in EVERY]
    if os.environ.get("EVERY_PUBLISHED")
    else [*SMALL, *(pytest.param(*case, marks=pytest.mark.slow) for case in LARGE)]
)


@pytest.fixture
def torchvisions(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, WeightsEnum], nn.Module]:
    """torchvision's own network with random weights, which `train` finds as the published ones."""
    found: dict[WeightsEnum, dict[str, Tensor]] = {}

    def build(name: str, weights: WeightsEnum) -> nn.Module:
        def draw(network: nn.Module, state: object) -> None:
            torch.manual_seed(0)
            for key, value in network.state_dict().items():
                if value.is_floating_point():
                    value.uniform_(0.5, 1.5) if "running_var" in key else value.add_(torch.randn_like(value) * 0.01)
            found[weights] = copy.deepcopy(network.state_dict())  # with the modules' versions, as a file has them

        with monkeypatch.context() as patched:
            patched.setattr(WeightsEnum, "get_state_dict", lambda *arguments, **options: {})
            patched.setattr(nn.Module, "load_state_dict", draw)
            return get_model_builder(name)(weights=weights, progress=False).eval()

    monkeypatch.setattr(exported, "state_dict", lambda weights: found[weights])
    return build


def features(network: nn.Module, task: str, size: int) -> Tensor:
    """The network's outputs for one image of noise; of a detector, its backbone's."""
    images = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        if "classification" in task:
            return network(images)
        if task == "semantic-segmentation":
            return network(images)["out"]
        backbone: Any = network.backbone
        return torch.cat([maps.flatten() for maps in backbone(images).values()])


@pytest.mark.parametrize(("name", "weights", "task"), CASES)
def test_features_are_torchvisions(
    name: str, weights: str, task: str, torchvisions: Callable[[str, WeightsEnum], nn.Module], tmp_path: Path
) -> None:
    published = get_model_weights(name)[weights]
    reference = torchvisions(name, published)
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"system": "pretrained", "model": name, "weights": weights, "task": task}))
    load(str(file)).run(tmp_path / "artifact")
    network = load_model(Artifact.read(tmp_path / "artifact"), torch.device("cpu"))
    crop = getattr(published.transforms(), "crop_size", [SMALLEST.get(name, 224)])
    expected = features(reference, task, crop[0])
    assert expected.std() > 0
    # A frozen batch norm rounds otherwise than one that could be trained: FCOS's features, of some hundreds, by 0.003.
    tolerance = 1e-5 * max(1.0, float(expected.std()))
    torch.testing.assert_close(features(network, task, crop[0]), expected, atol=tolerance, rtol=1e-5)


def test_weights_without_classes_are_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        json.dumps(
            {"system": "pretrained", "model": "vgg16", "weights": "IMAGENET1K_FEATURES", "task": "image-embedding"}
        )
    )
    with pytest.raises(ExperimentError, match=r"IMAGENET1K_FEATURES are for a detector's backbone only"):
        load(str(file)).run(tmp_path / "artifact")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_fine_tuning_takes_over_the_inputs_transform(
    name: str, torchvisions: Callable[[str, WeightsEnum], nn.Module]
) -> None:
    published = get_model_weights(name).DEFAULT
    reference = torchvisions(name, published)
    network = classifier(name, 1000, **derived(name, published)).eval()
    own = network.state_dict()
    network.load_state_dict(
        {key: value for key, value in vars(exported)["state_dict"](published).items() if key in own}
    )
    torch.testing.assert_close(
        features(network, "image-classification", 128), features(reference, "image-classification", 128)
    )
    assert derived(name, None) == {}
