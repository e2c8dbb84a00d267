"""Semantic segmenters by name, with new heads for the data's classes and published weights elsewhere."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, WeightsEnum, get_model_builder, get_model_weights

from handlers.networks.segmentation import mobilenet_v2_lraspp
from train.core.config import ExperimentError, StrictModel
from train.core.published_weights import load_but_predictors, state_dict

Architecture = Literal[
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "fcn_resnet101",
    "lraspp_mobilenet_v3_large",
    "mobilenet_v2_lraspp",
]

# Parts of the network whose shape depends on the number of classes.
HEADS = {
    "deeplabv3": ("classifier.4.", "aux_classifier.4."),
    "fcn": ("classifier.4.", "aux_classifier.4."),
    "lraspp": ("classifier.low_classifier.", "classifier.high_classifier."),
}
AUXILIARY = "aux_classifier."


class SegmenterSettings(StrictModel):
    """A torchvision segmenter or the project's small `mobilenet_v2_lraspp`, and its initial weights."""

    architecture: Architecture = Field(default="deeplabv3_resnet50")
    weights: str = Field(
        default="backbone",
        description="backbone: ImageNet weights; a name such as COCO_WITH_VOC_LABELS_V1: the whole network's; none",
    )
    keep_statistics: bool = Field(
        default=True,
        description="keep the statistics of published batch norms; batches of a few images have no better ones",
    )
    auxiliary_weight: float = Field(
        default=0.4,
        ge=0,
        description="weight of the loss of DeepLab's and FCN's auxiliary head, which is not served; 0: no head",
    )

    def served(self, classes: int) -> dict[str, Any]:
        """{"factory", "arguments"} for the artifact. classes: number including the background."""
        if self.architecture == "mobilenet_v2_lraspp":
            return {
                "factory": "handlers.networks.segmentation.mobilenet_v2_lraspp",
                "arguments": {"num_classes": classes},
            }
        nothing = {"weights": None, "weights_backbone": None}
        return {
            "factory": f"torchvision.models.segmentation.{self.architecture}",
            "arguments": {**nothing, "num_classes": classes},
        }

    def network(self, classes: int) -> nn.Module:
        """The network with random weights for training, with an auxiliary head if the family has one."""
        arguments = self.served(classes)["arguments"]
        if self.architecture == "mobilenet_v2_lraspp":
            return mobilenet_v2_lraspp(**arguments)
        if "lraspp" not in self.architecture and self.auxiliary_weight:
            arguments |= {"aux_loss": True}
        return get_model_builder(self.architecture)(**arguments)

    def initialise(self, network: nn.Module) -> list[str]:
        """Load `weights`. Return the names of batch norms with published statistics.

        Raises ExperimentError for unknown weights.
        """
        if self.weights == "none":
            return []
        if self.weights == "backbone":
            loaded = load_backbone(network, state_dict(self.imagenet()))
        else:
            published = state_dict(self.published())
            if not any(name.startswith(AUXILIARY) for name in network.state_dict()):
                published = {name: tensor for name, tensor in published.items() if not name.startswith(AUXILIARY)}
            heads: tuple[str, ...] = HEADS[self.architecture.partition("_")[0]]
            # Published MobileNetV3 networks have no auxiliary head.
            if not any(name.startswith(AUXILIARY) for name in published):
                heads = (*heads, AUXILIARY)
            loaded = load_but_predictors(network, published, heads)
        return [name.removesuffix(".running_mean") for name in loaded if name.endswith(".running_mean")]

    def imagenet(self) -> WeightsEnum:
        if self.architecture == "mobilenet_v2_lraspp":
            return MobileNet_V2_Weights.IMAGENET1K_V1
        parameters = inspect.signature(get_model_builder(self.architecture)).parameters
        weights: WeightsEnum = parameters["weights_backbone"].default
        return weights

    def published(self) -> WeightsEnum:
        known = {} if self.architecture == "mobilenet_v2_lraspp" else get_model_weights(self.architecture).__members__
        if self.weights not in known:
            raise ExperimentError(
                f"model.weights: {self.architecture} has no {self.weights!r}; "
                f"wanted one of {', '.join(['none', 'backbone', *known])}"
            )
        return known[self.weights]


def load_backbone(network: nn.Module, published: dict[str, Tensor]) -> list[str]:
    """Load a classifier's published weights into a segmenter's backbone. Return the names of the loaded tensors."""
    backbone = network.get_submodule("backbone")
    # MobileNets keep their layers under `features`, ResNets at the top.
    features = {name.removeprefix("features."): tensor for name, tensor in published.items()}
    found = {name: features[name] for name in backbone.state_dict()}
    backbone.load_state_dict(found)
    return [f"backbone.{name}" for name in found]
