"""`system: pretrained`: torchvision's published weights as an artifact, without training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from torchvision.models import WeightsEnum, get_model_builder, get_model_weights

from handlers.networks.classifier import derived
from handlers.networks.detection import has_zero_epsilon, zero_epsilon
from handlers.networks.layers import embedding_layer
from handlers.vision.transform import ImageTransform
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.experiment import Experiment
from train.core.published_weights import state_dict
from train.core.stored_weights import round_weights

# "Chelsea the cat", by Stéfan van der Walt, who put it under CC0; as scikit-image's `chelsea`.
SAMPLE = Path(__file__).parents[1] / "samples" / "cat.jpg"
# Auxiliary heads of GoogLeNet and Inception, used only when training from scratch. Tasks that torchvision's classifiers
# serve.
WHOLE = ("image-classification", "image-embedding")
# The skeleton of COCO's person annotations, with numbers from 0.
COCO_SKELETON = [
    *([15, 13], [13, 11], [16, 14], [14, 12], [11, 12], [5, 11], [6, 12], [5, 6], [5, 7], [6, 8], [7, 9], [8, 10]),
    *([1, 2], [0, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, 6]),
]
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


class Pretrained(Experiment):
    """model: a name from `torchvision.models.list_models()`.

    weights: a name from the model's weights enum, such as IMAGENET1K_V1 or COCO_V1; DEFAULT is the best one.
    arguments: for the model's builder, besides the weights.
    """

    model: str
    weights: str = "DEFAULT"
    task: Literal[
        "image-classification",
        "image-embedding",
        "object-detection",
        "instance-segmentation",
        "semantic-segmentation",
        "keypoint-detection",
    ]
    arguments: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies a default

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        weights = self.find_weights()
        if not weights.meta["categories"]:
            raise ExperimentError(f"weights: {weights} are for a detector's backbone only; wanted weights with classes")
        categories = list(weights.meta["categories"])
        print(f"{self.name}: torchvision's {self.model} with {weights}")
        published_state = state_dict(weights)
        arguments = {**derived(self.model, weights), **self.arguments, "weights": None}
        if self.task not in WHOLE:
            arguments |= {"weights_backbone": None, "num_classes": len(categories)}
        if any(name.startswith("aux_classifier.") for name in published_state):
            arguments |= {"aux_loss": True}
        builder = zero_epsilon if has_zero_epsilon(weights) else get_model_builder(self.model)
        if builder is zero_epsilon:
            arguments |= {"model": self.model}
        network = builder(**arguments)
        # Weights of auxiliary heads are dropped. The rest must stay torch's own state dict with its version metadata,
        # which MNASNet checks.
        for name in [name for name in published_state if name.startswith(AUXILIARY)]:
            del published_state[name]
        network.load_state_dict(published_state)
        round_weights(network, self.stored_weights)
        reported = published(weights)
        embedding = {"embedding": embedding_layer(network)} if self.task == "image-embedding" else {}
        Artifact(
            name=self.name,
            experiment=self,
            task=self.task,
            format="safetensors",
            labels=[] if self.task == "image-embedding" else categories,
            architecture={"factory": f"{builder.__module__}.{builder.__name__}", "arguments": arguments},
            preprocessing=self.preprocessing(weights) | embedding,
            # Rounded weights were never evaluated by the publisher.
            metrics={"published": reported} if self.stored_weights else reported,
            training={
                "source": f"torchvision {weights}",
                "recipe": weights.meta.get("recipe", ""),
                "seconds": round(time.monotonic() - started, 1),
            },
        ).write(folder, network.state_dict(), SAMPLE)

    def find_weights(self) -> WeightsEnum:
        try:
            known = get_model_weights(self.model)
        except ValueError:
            raise ExperimentError(f"model: torchvision has no model {self.model!r}") from None
        if self.weights not in known.__members__:
            names = ", ".join(known.__members__)
            raise ExperimentError(f"weights: {self.model} has no {self.weights!r}; wanted one of {names}")
        return known[self.weights]

    def preprocessing(self, weights: WeightsEnum) -> dict[str, Any]:
        """torchvision's evaluation preset as the project's transform; detection models have theirs built in."""
        if self.task == "keypoint-detection":
            return {"keypoints": list(weights.meta["keypoint_names"]), "skeleton": COCO_SKELETON}
        if self.task in ("object-detection", "instance-segmentation"):
            return {}
        preset = weights.transforms()
        size = preset.resize_size
        resize = size[0] if len(size) == 1 and self.task in WHOLE else (size[0], size[0])
        crop = getattr(preset, "crop_size", None)
        return ImageTransform(
            resize=resize,
            crop=(crop[0], crop[0]) if crop else None,
            interpolation=preset.interpolation.value,
            mean=tuple(preset.mean),
            std=tuple(preset.std),
        ).to_dict()


def published(weights: WeightsEnum) -> dict[str, Any]:
    """torchvision's published scores of these weights: {"ImageNet-1K acc@1": 71.878, …}."""
    reported = weights.meta.get("_metrics", {})
    return {f"{data} {name}": value for data, metrics in reported.items() for name, value in metrics.items()}
