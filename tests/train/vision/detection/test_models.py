"""Detectors by name: heads for any number of classes, published weights elsewhere, limits that hold."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model_builder
from torchvision.models.detection import backbone_utils
from torchvision.ops import FrozenBatchNorm2d, box_iou

from handlers.artifact import Artifact
from train.core.config import ExperimentError
from train.core.published_weights import load_but_predictors
from train.vision.detection import models as detectors
from train.vision.detection.models import BoxDetector, DetectorSettings, MaskDetector, absorb_epsilon, load_backbone

CLASSES = 4
ALL = (*get_args(BoxDetector), *get_args(MaskDetector))


@pytest.mark.parametrize("architecture", ALL)
def test_the_served_factory_builds_what_was_trained(architecture: Any) -> None:
    """By dotted name and arguments alone, on no device: every name and shape of the state fits."""
    settings = DetectorSettings(architecture=architecture, weights="none", score_threshold=0.2, nms_iou=0.4)
    served = settings.served(CLASSES)
    artifact = Artifact("x", "object-detection", "safetensors", Path(), served, [], {}, Path(), Path())
    with torch.device("meta"):
        trained = settings.network(CLASSES)
        module, _, name = artifact.architecture["factory"].rpartition(".")  # type: ignore[index]
        rebuilt: nn.Module = getattr(__import__(module, fromlist=[name]), name)(**served["arguments"])
    shapes = {key: value.shape for key, value in trained.state_dict().items()}
    assert shapes == {key: value.shape for key, value in rebuilt.state_dict().items()}
    limits = rebuilt.roi_heads if hasattr(rebuilt, "roi_heads") else rebuilt
    assert (limits.score_thresh, limits.nms_thresh, limits.detections_per_img) == (0.2, 0.4, 100)  # type: ignore[union-attr]


@pytest.mark.parametrize("architecture", ALL)
def test_published_weights_fill_all_but_the_predictors(architecture: Any) -> None:
    """Even for as many classes as were published: they are other classes."""
    settings = DetectorSettings(architecture=architecture, weights="none")
    with torch.device("meta"):
        published = settings.network(91).state_dict()
        network = settings.network(91)
    loaded = load_but_predictors(network, published, settings.family.predictors)
    left = set(network.state_dict()) - set(loaded)
    assert left
    assert all(name.startswith(settings.family.predictors) for name in left)
    with torch.device("meta"):
        other = settings.network(CLASSES).state_dict()
    differing = {name for name, value in published.items() if value.shape != other[name].shape}
    assert differing <= left


def test_a_published_file_of_another_network_is_refused() -> None:
    settings = DetectorSettings(architecture="mobilenet_v2_ssd")
    network = settings.network(CLASSES)
    state = network.state_dict()
    state["something.else"] = torch.zeros(1)
    with pytest.raises(ExperimentError, match=r"left over \['something.else'\]"):
        load_but_predictors(network, state, settings.family.predictors)


@pytest.mark.parametrize("architecture", ["mobilenet_v2_ssd", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_a_classifier_s_weights_reach_the_backbone(architecture: Any) -> None:
    settings = DetectorSettings(architecture=architecture)
    torch.manual_seed(0)
    classifier = settings.backbone.classifier()
    network = settings.network(CLASSES)
    loaded = load_backbone(network, settings.backbone, classifier.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = classifier.eval().features(images)  # type: ignore[operator]
        body = network.eval().get_submodule("backbone.body")
        *_, last = body(images).values()
    torch.testing.assert_close(last, expected)
    assert len(loaded) == len(network.get_submodule("backbone.body").state_dict())


def test_real_imagenet_weights_and_frozen_stages() -> None:
    """As torchvision's own function freezes them, and batch norms that are published keep their statistics."""
    settings = DetectorSettings(architecture="mobilenet_v2_ssd", trainable_layers=2)
    network = settings.network(CLASSES)
    keep = settings.initialise(network)
    assert len(keep) == 52
    assert all(isinstance(network.get_submodule(name), nn.BatchNorm2d) for name in keep)
    with_gradients = {name for name, p in network.named_parameters() if p.requires_grad}
    reference = backbone_utils.mobilenet_backbone(
        backbone_name="mobilenet_v2", weights=None, fpn=True, norm_layer=nn.BatchNorm2d, trainable_layers=2
    )
    body = {f"backbone.{n}" for n, p in reference.named_parameters() if p.requires_grad and n.startswith("body.")}
    assert {name for name in with_gradients if name.startswith("backbone.body.")} == body
    assert any(name.startswith("head.") for name in with_gradients)


def test_batch_norms_absorb_their_epsilon() -> None:
    """torchvision's COCO_V1 weights are of frozen batch norms without one."""
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(8)
    layer.running_var = torch.rand(8) * 1e-4
    layer.running_mean = torch.randn(8)
    frozen = FrozenBatchNorm2d(8, eps=0.0)
    frozen.load_state_dict({k: v.clone() for k, v in layer.state_dict().items() if k != "num_batches_tracked"})
    images = torch.randn(2, 8, 5, 5)
    absorb_epsilon(layer)
    torch.testing.assert_close(layer.eval()(images), frozen(images), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"architecture": "ssdlite320_mobilenet_v3_large", "image_size": 300}, "model.image_size"),
        ({"architecture": "mobilenet_v2_ssd", "max_size": 300}, "model.max_size"),
        ({"architecture": "mobilenet_v2_ssd", "weights": "COCO_V1"}, "wanted one of none, backbone"),
        ({"architecture": "retinanet_resnet50_fpn", "weights": "COCO_V9"}, "none, backbone, COCO_V1, DEFAULT"),
        ({"architecture": "mobilenet_v2_ssd", "trainable_layers": 9}, "has 6 stages"),
        ({"architecture": "mobilenet_v2_ssd", "weights": "none", "trainable_layers": 1}, "all layers are trained"),
        ({"architecture": "mobilenet_v2_ssd", "arguments": {"depth": 3}}, "model.arguments: .*depth"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], said: str) -> None:
    wrong = DetectorSettings.model_validate(settings)
    with torch.device("meta"), pytest.raises(ExperimentError, match=said):
        wrong.initialise(wrong.network(CLASSES))


def sizes(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        [found] = network.eval()([image])
    return found


@pytest.mark.parametrize("architecture", ["mobilenet_v2_ssd", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_threshold_suppression_and_limit_hold_and_know_classes(architecture: Any) -> None:
    """Random weights see every class everywhere: boxes of one class that overlap go, those of another stay."""
    options: dict[str, Any] = {"architecture": architecture, "weights": "none", "image_size": 96, "nms_iou": 0.3}
    if architecture != "mobilenet_v2_ssd":
        options["max_size"] = 96
    torch.manual_seed(1)
    image = torch.rand(3, 90, 80)
    free = DetectorSettings(**options, score_threshold=0.0, detections=300).network(CLASSES)
    found = sizes(free, image)
    overlaps = box_iou(found["boxes"], found["boxes"]).fill_diagonal_(0)
    same = found["labels"][:, None] == found["labels"][None]
    assert overlaps[same].max() <= 0.3
    assert overlaps[~same].max() > 0.3
    threshold = found["scores"].median().item()
    strict = DetectorSettings(**options, score_threshold=threshold, detections=5).network(CLASSES)
    strict.load_state_dict(free.state_dict())
    limited = sizes(strict, image)
    assert len(limited["scores"]) == 5
    assert limited["scores"].min() > threshold
    torch.testing.assert_close(limited["scores"], found["scores"].sort(descending=True).values[:5])


def test_every_architecture_is_of_torchvision_s_registry() -> None:
    for name in ALL:
        if name != "mobilenet_v2_ssd":
            assert get_model_builder(name)
            assert name.partition("_")[0] in detectors.FAMILIES
