"""Detectors by name, with new predictors for the data's classes and published weights elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torchvision.models import (
    MobileNet_V2_Weights,
    ResNet50_Weights,
    WeightsEnum,
    get_model_builder,
    get_model_weights,
    mobilenet_v2,
    mobilenet_v3_large,
    resnet50,
    vgg16,
)
from torchvision.models.detection import backbone_utils, ssd, ssdlite

from handlers.networks.detection import mobilenet_v2_ssd
from train.core.config import ExperimentError, StrictModel
from train.core.published_weights import load_but_predictors, state_dict

BoxDetector = Literal[
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "mobilenet_v2_ssd",
]
MaskDetector = Literal["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"]

# torchvision trained these with batch norms without an epsilon; all other networks divide by sqrt(var + 1e-5).
WITHOUT_EPSILON = ("fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "maskrcnn_resnet50_fpn")


@dataclass(frozen=True)
class Backbone:
    """classifier: the network whose layers form the backbone.

    stages: number of stages that can be frozen, from the first one on. extract: torchvision's function (classifier,
    trainable stages) → backbone, which disables the other stages' gradients. trainable: stages that torchvision trains
    by default.
    """

    classifier: Callable[[], nn.Module]
    extract: Callable[[Any, int], nn.Module]
    stages: int
    trainable: int


RESNET = Backbone(resnet50, backbone_utils._resnet_fpn_extractor, 5, 3)
MOBILENET = Backbone(mobilenet_v3_large, lambda c, n: backbone_utils._mobilenet_extractor(c, True, n), 6, 3)
VGG = Backbone(vgg16, lambda c, n: ssd._vgg_extractor(c, False, n), 5, 4)
LITE = Backbone(mobilenet_v3_large, lambda c, n: ssdlite._mobilenet_extractor(c, n, nn.BatchNorm2d), 6, 6)
SMALL = Backbone(mobilenet_v2, lambda c, n: backbone_utils._mobilenet_extractor(c, True, n), 6, 4)


@dataclass(frozen=True)
class Family:
    """predictors: parts of the network whose shape depends on the number of classes.

    limits: names of its arguments for the minimum score, the IoU of non-maximum suppression and the number of
    detections.
    size: names of its arguments for the image's shorter and longer side; none if the size is fixed.
    """

    predictors: tuple[str, ...]
    limits: tuple[str, str, str]
    size: tuple[str, ...]


RCNN_LIMITS = ("box_score_thresh", "box_nms_thresh", "box_detections_per_img")
LIMITS = ("score_thresh", "nms_thresh", "detections_per_img")

FAMILIES = {
    "fasterrcnn": Family(("roi_heads.box_predictor.",), RCNN_LIMITS, ("min_size", "max_size")),
    "maskrcnn": Family(
        ("roi_heads.box_predictor.", "roi_heads.mask_predictor."), RCNN_LIMITS, ("min_size", "max_size")
    ),
    "retinanet": Family(("head.classification_head.cls_logits.",), LIMITS, ("min_size", "max_size")),
    "ssd300": Family(("head.classification_head.",), LIMITS, ()),
    "ssdlite320": Family(("head.classification_head.",), LIMITS, ()),
    "mobilenet": Family(("head.classification_head.",), LIMITS, ("image_size",)),
}


class DetectorSettings(StrictModel):
    """A torchvision detector or the project's small `mobilenet_v2_ssd`, and its initial weights."""

    architecture: BoxDetector | MaskDetector = Field(default="fasterrcnn_resnet50_fpn_v2")
    weights: str = Field(
        default="backbone",
        description="backbone: ImageNet weights; a name such as COCO_V1: the whole detector's; none: random",
    )
    trainable_layers: int | None = Field(
        default=None, ge=0, description="number of the backbone's last stages to train; by default as in torchvision"
    )
    keep_statistics: bool = Field(
        default=True,
        description="keep the statistics of published batch norms; batches of a few large images have no better ones",
    )
    image_size: int | None = Field(default=None, ge=32, description="shorter side of the network's input, in pixels")
    max_size: int | None = Field(default=None, ge=32, description="maximum of the longer side, in pixels")
    score_threshold: float | None = Field(default=None, ge=0, le=1, description="minimum score of a detection")
    nms_iou: float | None = Field(default=None, gt=0, le=1, description="IoU of non-maximum suppression within a class")
    detections: int = Field(default=100, ge=1, description="maximum number of detections per image")
    arguments: dict[str, Any] = Field(default={}, description="further arguments of torchvision's builder")

    @property
    def family(self) -> Family:
        return FAMILIES[self.architecture.partition("_")[0]]

    @property
    def backbone(self) -> Backbone:
        for name, backbone in (("resnet50", RESNET), ("vgg16", VGG), ("ssdlite", LITE), ("mobilenet_v2", SMALL)):
            if name in self.architecture:
                return backbone
        return MOBILENET

    def served(self, classes: int) -> dict[str, Any]:
        """{"factory", "arguments"} for the artifact. classes: number including the background.

        Raises ExperimentError for a size if the network has a fixed one.
        """
        limits = zip(self.family.limits, (self.score_threshold, self.nms_iou, self.detections), strict=True)
        arguments: dict[str, Any] = {name: value for name, value in limits if value is not None}
        for key, value, position in (("image_size", self.image_size, 0), ("max_size", self.max_size, 1)):
            if value is not None and position >= len(self.family.size):
                raise ExperimentError(f"model.{key}: {self.architecture} has no such setting; remove it")
            if value is not None:
                arguments[self.family.size[position]] = value
        if "image_size" in self.model_fields_set and self.max_size is None and "max_size" in self.family.size:
            arguments["max_size"] = round((self.image_size or 800) * 1333 / 800)
        arguments |= {"num_classes": classes, **self.arguments}
        if self.architecture == "mobilenet_v2_ssd":
            return {"factory": "handlers.networks.detection.mobilenet_v2_ssd", "arguments": arguments}
        nothing = {"weights": None, "weights_backbone": None}
        return {"factory": f"torchvision.models.detection.{self.architecture}", "arguments": nothing | arguments}

    def network(self, classes: int) -> nn.Module:
        """The network with random weights, built as on a server."""
        arguments = self.served(classes)["arguments"]
        own = self.architecture == "mobilenet_v2_ssd"
        try:
            return mobilenet_v2_ssd(**arguments) if own else get_model_builder(self.architecture)(**arguments)
        except TypeError as error:
            raise ExperimentError(f"model.arguments: {error}") from None

    def initialise(self, network: nn.Module) -> list[str]:
        """Load `weights` and freeze the first stages. Return the names of batch norms with published statistics.

        Raises ExperimentError for unknown weights or more stages than the backbone has.
        """
        if self.weights == "none":
            if self.trainable_layers is not None:
                raise ExperimentError(
                    "model.trainable_layers: needs published weights; without them all layers are trained"
                )
            return []
        stages = self.backbone.trainable if self.trainable_layers is None else self.trainable_layers
        if stages > self.backbone.stages:
            raise ExperimentError(
                f"model.trainable_layers is {stages}; {self.architecture} has {self.backbone.stages} stages"
            )
        if self.weights == "backbone":
            loaded = load_backbone(network, self.backbone, state_dict(self.imagenet()))
        else:
            published = state_dict(self.published())
            loaded = load_but_predictors(network, published, self.family.predictors)
            if self.architecture in WITHOUT_EPSILON:
                absorb_epsilon(network)
        freeze(network, self.backbone, stages)
        return [name.removesuffix(".running_mean") for name in loaded if name.endswith(".running_mean")]

    def imagenet(self) -> WeightsEnum:
        if self.architecture == "mobilenet_v2_ssd":
            return MobileNet_V2_Weights.IMAGENET1K_V1
        parameters = inspect.signature(get_model_builder(self.architecture)).parameters
        weights: WeightsEnum = parameters["weights_backbone"].default or ResNet50_Weights.IMAGENET1K_V1
        return weights

    def published(self) -> WeightsEnum:
        known = {} if self.architecture == "mobilenet_v2_ssd" else get_model_weights(self.architecture).__members__
        if self.weights not in known:
            raise ExperimentError(
                f"model.weights: {self.architecture} has no {self.weights!r}; "
                f"wanted one of {', '.join(['none', 'backbone', *known])}"
            )
        return known[self.weights]


def freeze(network: nn.Module, backbone: Backbone, stages: int) -> None:
    """Train only the last `stages` of the backbone, as torchvision counts them."""
    with torch.device("meta"):
        extracted = backbone.extract(backbone.classifier(), stages)
    frozen = {f"backbone.{name}" for name, parameter in extracted.named_parameters() if not parameter.requires_grad}
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def load_backbone(network: nn.Module, backbone: Backbone, published: dict[str, Tensor]) -> list[str]:
    """Load a classifier's published weights into a detector's backbone. Return the names of the loaded tensors.

    SSDlite's last stage is half as wide as the published one and stays random, as in torchvision.
    """
    classifier = backbone.classifier()
    classifier.load_state_dict(published)
    theirs = {id(tensor) for tensor in classifier.state_dict(keep_vars=True).values()}
    extracted = backbone.extract(classifier, backbone.stages).state_dict(keep_vars=True)
    wanted = network.state_dict()
    found = {
        f"backbone.{name}": tensor.detach()
        for name, tensor in extracted.items()
        if id(tensor) in theirs and wanted[f"backbone.{name}"].shape == tensor.shape
    }
    network.load_state_dict(found, strict=False)
    return list(found)


@torch.no_grad()
def absorb_epsilon(network: nn.Module) -> None:
    """Rescale batch norms with an epsilon to compute the same as without one: w / sqrt(v) = w' / sqrt(v + epsilon)."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.weight.mul_(((module.running_var + module.eps) / module.running_var).sqrt())
