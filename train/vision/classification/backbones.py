"""Networks and published weights of classifiers, from torchvision and timm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import timm
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from torch import nn
from torchvision.models import WeightsEnum

from handlers.formats import timm_config
from handlers.networks.classifier import TIMM, derived
from handlers.vision.transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from train.core.config import ExperimentError
from train.vision.classification.models import find_weights, load_published, load_under_head

SIDE = 224  # image side in pixels, unless the experiment or timm's weights say otherwise
# Share of the shorter side kept by the centre crop, as in the evaluation of ImageNet models: 224 of 256.
CENTRE = 0.875


class Backbone(ABC):
    """side: of the network's square input, in pixels."""

    side: int

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network's builder."""

    @abstractmethod
    def transform(self, statistics: dict[str, Any] | None) -> ImageTransform:
        """The transform for evaluation: as the published weights were trained, or with the data's own mean and
        deviation.

        statistics: content of data.json; if None, ImageNet's mean and deviation are used.
        """

    @abstractmethod
    def load(self, network: nn.Module) -> None:
        """Load the published weights, if any, into the whole network except its head."""


class OfTorchvision(Backbone):
    def __init__(self, model: str, weights: str | None, side: int | None) -> None:
        self.model, self.side = model, side or SIDE
        self.weights: WeightsEnum | None = find_weights(model, weights)

    def arguments(self) -> dict[str, Any]:
        own = {"image_size": self.side} if self.model.startswith("vit_") else {}
        return {**derived(self.model, self.weights), **own}

    def transform(self, statistics: dict[str, Any] | None) -> ImageTransform:
        resize, square = round(self.side / CENTRE), (self.side, self.side)
        if self.weights is None:
            return ImageTransform(resize, square, "bilinear", *colours(statistics))
        preset = self.weights.transforms()
        return ImageTransform(resize, square, preset.interpolation.value, tuple(preset.mean), tuple(preset.std))

    def load(self, network: nn.Module) -> None:
        if self.weights is not None:
            load_published(network, self.weights)


class OfTimm(Backbone):
    """weights: one of timm's tags, such as a1_in1k, or DEFAULT for timm's own choice."""

    def __init__(self, model: str, weights: str | None, side: int | None) -> None:
        if not timm.is_model(model):
            raise ExperimentError(f"model: timm has no model {model!r}; see timm.list_models()")
        self.model, self.weights = model, weights
        base = model.partition(".")[0]
        self.published = model if weights in (None, "DEFAULT") else f"{base}.{weights}"
        if weights is not None and not timm.is_model_pretrained(self.published):
            tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*")]
            known = f"wanted one of {', '.join(tags)}" if tags else "it has no weights; wanted null"
            raise ExperimentError(f"weights: timm's {base} has no weights {weights!r}; {known}")
        found = timm.get_pretrained_cfg(self.published)
        self.config: dict[str, Any] = found.to_dict() if found else {}
        if other := timm_config.differs(self.config):
            raise ExperimentError(f"model: the image preprocessing of timm's {model} is not supported: {other}")
        self.side = side or timm_config.size_of(self.config)[0]

    def arguments(self) -> dict[str, Any]:
        # Other models accept images of any size and have no such argument.
        return {"img_size": self.side} if self.config.get("fixed_input_size") else {}

    def transform(self, statistics: dict[str, Any] | None) -> ImageTransform:
        values = timm_config.preprocessing(self.config, (self.side, self.side))
        if self.weights is None:
            values["mean"], values["std"] = colours(statistics)
        return ImageTransform.from_dict(values)

    def load(self, network: nn.Module) -> None:
        """Use timm's own loader, which also resizes position embeddings to another image size."""
        if self.weights is None:
            return
        try:
            source = timm.create_model(self.published, pretrained=True, **self.arguments())
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, RuntimeError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExperimentError(f"weights: timm's {self.published} cannot be downloaded: {said[:200]}") from None
        load_under_head(network, source.state_dict(), f"timm's {self.published}")


def backbone(model: str, weights: str | None, side: int | None) -> Backbone:
    """model: a torchvision model, or a timm model prefixed with "timm/". Raises ExperimentError for unknown names."""
    if model.startswith(TIMM):
        return OfTimm(model.removeprefix(TIMM), weights, side)
    return OfTorchvision(model, weights, side)


Colours = tuple[float, float, float]


def colours(statistics: dict[str, Any] | None) -> tuple[Colours, Colours]:
    """(mean, standard deviation) of the data, or of ImageNet without statistics."""
    if statistics is None:
        return IMAGENET_MEAN, IMAGENET_STD
    mean, std = tuple(statistics["mean"]), tuple(statistics["std"])
    return mean, std
