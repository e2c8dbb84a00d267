"""Image classification: an image in, the most probable classes out or all that apply, and what layers computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray
from torch import Tensor, nn

from handlers.acceleration.equivalence import Outputs, by_probabilities
from handlers.artifact import Artifact, LoadError
from handlers.drift.image_handler import ImageHandler
from handlers.errors import InternalError, InvalidInput, TooLarge, shown
from handlers.loader import load_model
from handlers.networks.ensemble import Ensemble
from handlers.networks.layers import Form, WithLayers
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import check_count, rank, softmax
from handlers.vision.batching import ImageBatcher, ImageData
from handlers.vision.gpu_batching import decoder_of, example, sample, with_decoder
from handlers.vision.network_input import Transform, over_images, transform_of, varying
from handlers.vision.views import Views


@dataclass(frozen=True)
class ClassificationInput:
    """image: uint8 (3, height, width), resized and cropped, not yet normalised; or a JPEG not yet decoded.

    threshold: the probability from which on a class applies, for multi-label models. features: the names of the layers
    whose outputs the answer holds.
    """

    image: ImageData
    top_k: int
    embedding: bool
    threshold: float
    features: list[str]


@dataclass(frozen=True)
class ClassificationOutput:
    """logits: (classes,), of all tasks one after the other. layers: their outputs, in the handler's order."""

    logits: NDArray[np.float32]
    layers: Sequence[NDArray[np.float32]]


class ImageClassification(ImageHandler[ClassificationInput, ClassificationOutput]):
    """For models that return logits (B, classes).

    The artifact's preprocessing holds, beside the transform or the `members` of an ensemble with one each, `tasks`:
    {name: labels} of a model with several, whose logits stand one task after the other; `embedding`: the layer that
    gives one; `activation`, which makes probabilities of the model's outputs; and `multi_label`: whether any number of
    the classes can apply, each by its sigmoid. A model of one label says by a sigmoid whether that applies.

    layers: those whose outputs the model returns, the embedding's first; the others are options.features,
    {layer: "map" or "pooled"}.
    """

    def load(self) -> None:
        preprocessing = dict(self.artifact.preprocessing)
        self.tasks: dict[str, list[str]] = preprocessing.pop("tasks", {})
        layer = preprocessing.pop("embedding", None)
        several = preprocessing.pop("multi_label", False) or len(self.labels) == 1
        given = preprocessing.pop("activation", None)
        activation = given or ("sigmoid" if several else activation_of(self.artifact))
        self.probabilities, self.multi_label = ACTIVATIONS[activation], several or activation == "sigmoid"
        self.embedding = self.options.get("embedding", layer)
        self.features: dict[str, Form] = self.options["features"]
        self.layers: list[tuple[str, Form]] = [(self.embedding, "pooled")] if self.embedding else []
        self.layers += self.features.items()
        self.transform: Transform | Views
        if "members" in preprocessing:
            self.transform = Views.from_dict(preprocessing)
        else:
            self.transform = transform_of(self.artifact, preprocessing)
        self.max_pixels = int(self.limits["max_pixels"])
        self.max_feature_values = int(self.limits["max_feature_values"])
        self.batcher = ImageBatcher(self.transform, self.max_pixels, self.device)
        image, judge = example(self.artifact, self.batcher), by_probabilities(self.probabilities_of)
        self.forward = self.accelerate(self.build, image, varying(self.transform), judge)
        self.batcher = with_decoder(
            self.batcher, lambda: sample(self.artifact), self.forward, self.options["decode"], judge
        )
        self.top_k = int(self.options["top_k"])
        self.threshold = float(self.options["threshold"])

    def build(self) -> nn.Module:
        network = load_model(self.artifact, self.device)
        if isinstance(self.transform, Views):
            members = len(network.members) if isinstance(network, Ensemble) and network.separate else 1
            if members != len(self.transform.members):
                raise LoadError(f"preprocessing: {len(self.transform.members)} members; the network has {members}")
        return over_images(self.with_layers(network), self.transform).to(self.device).eval()

    def with_layers(self, network: nn.Module) -> nn.Module:
        if not self.layers:
            return network
        if self.artifact.format != "safetensors":
            raise LoadError(f"layers: wanted weights as safetensors; {self.artifact.format} has no layers to name")
        try:
            return WithLayers(network, self.layers)
        except ValueError as error:
            raise LoadError(f"embedding or features: {error}") from None

    def probabilities_of(self, outputs: Outputs) -> list[Tensor]:
        """Those of each task, of the model's outputs (B, …)."""
        parts = outputs[0].split([len(labels) for labels in self.tasks.values()] or outputs[0].shape[1], dim=1)
        if self.probabilities is softmax:
            return [part.softmax(1) for part in parts]
        return [part.sigmoid() if self.probabilities is sigmoid else part for part in parts]

    def describe_runtime(self) -> dict[str, str]:
        return decoder_of(self.batcher)

    def decode(self, payload: Payload) -> ClassificationInput:
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        embedding = payload.flag("embedding", False)
        if embedding and not self.embedding:
            raise InvalidInput("embedding: this model gives none; its spec names no layer (options.embedding)")
        threshold = payload.number("threshold", self.threshold, 0, 1) if self.multi_label else self.threshold
        return ClassificationInput(self.batcher.open(payload), top_k, embedding, threshold, self.asked(payload))

    def asked(self, payload: Payload) -> list[str]:
        """The layers whose outputs the answer is to hold. Raises InvalidInput for others than the spec's."""
        names = payload.names("features")
        unknown = [name for name in names if name not in self.features]
        if unknown:
            known = ", ".join(self.features) or "none: its spec names no layers (options.features)"
            raise InvalidInput(f"features: {shown(unknown[0])} is not one of this model's; it has {known}")
        return names

    def predict(self, items: Sequence[ClassificationInput]) -> Sequence[ClassificationOutput]:
        outputs: dict[int, ClassificationOutput] = {}
        for indices in self.batcher.groups([item.image for item in items]):
            batch = self.batcher.batch([items[index].image for index in indices])
            logits, *layers = (part.cpu().numpy() for part in self.forward(batch))
            check_count(logits.shape[1], self.labels)
            for position, index in enumerate(indices):
                outputs[index] = ClassificationOutput(logits[position], [layer[position] for layer in layers])
        return [outputs[index] for index in range(len(items))]

    def encode(self, item: ClassificationInput, output: ClassificationOutput, media_type: str) -> Response:
        """{"predictions": […]}, of a multi-label model with "labels"; {"tasks": {name: […]}} of a model with several;
        and "embedding" and "features" where asked for."""
        body: dict[str, object]
        confidence: float | None = None
        if self.tasks:
            parts = np.split(output.logits, np.cumsum([len(labels) for labels in self.tasks.values()])[:-1])
            answers = {
                name: rank(self.probabilities(part), labels, item.top_k)
                for (name, labels), part in zip(self.tasks.items(), parts, strict=True)
            }
            body = {"tasks": answers}
            classes = [f"{name}.{ranked[0]['label']}" for name, ranked in answers.items()]
        elif self.multi_label:
            ranked = rank(self.probabilities(output.logits), self.labels, len(self.labels))
            classes = [each["label"] for each in ranked if each["probability"] >= item.threshold]
            body = {"predictions": ranked[: item.top_k], "labels": classes}
            confidence = ranked[0]["probability"]
        else:
            ranked = rank(self.probabilities(output.logits), self.labels, item.top_k)
            body = {"predictions": ranked}
            classes, confidence = [ranked[0]["label"]], ranked[0]["probability"]
        return Response(to_json(body | self.layers_of(item, output)), classes=classes, confidence=confidence)

    def layers_of(self, item: ClassificationInput, output: ClassificationOutput) -> dict[str, object]:
        """The outputs of layers that were asked for. Raises TooLarge for more numbers than the limit."""
        outputs = dict(zip(self.features, output.layers[len(self.layers) - len(self.features) :], strict=True))
        embedding = {"embedding": output.layers[0]} if item.embedding else {}
        features = {name: outputs[name] for name in item.features}
        values = sum(layer.size for layer in features.values())
        if values > self.max_feature_values:
            raise TooLarge(f"features: {values} values, the limit is {self.max_feature_values}")
        for name, layer in (embedding | features).items():
            if not np.isfinite(layer).all():
                raise InternalError(f"{name}: its values for this input are not finite")
        return embedding | ({"features": features} if features else {})


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of each class by itself, without an overflow; what is not finite stays so."""
    return np.exp(-np.logaddexp(0, -logits))


def unchanged(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    return probabilities


Activation = Callable[[NDArray[np.float32]], NDArray[np.float32]]
# "none" is for models that answer with probabilities.
ACTIVATIONS: dict[str, Activation] = {"softmax": softmax, "sigmoid": sigmoid, "none": unchanged}


def activation_of(artifact: Artifact) -> str:
    """Softmax; of a Hugging Face folder what transformers' pipeline takes."""
    if artifact.format != "huggingface":
        return "softmax"
    problem = orjson.loads((artifact.weights / "config.json").read_bytes()).get("problem_type")
    if problem == "regression":
        raise LoadError("problem_type: a model for regression answers with numbers, not with classes")
    return "sigmoid" if problem == "multi_label_classification" else "softmax"
