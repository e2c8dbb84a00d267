"""Zero-shot image classification: an image and labels in, the labels out, the one that fits best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from handlers.acceleration.equivalence import Outputs, by_norm, by_probabilities
from handlers.artifact import LoadError
from handlers.drift.image_handler import ImageHandler
from handlers.errors import InvalidInput
from handlers.formats import pretrained
from handlers.loader import load_model
from handlers.networks.image_features import ImageFeatures
from handlers.networks.normalised import Normalised
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import rank
from handlers.vision.batching import ImageBatcher, ImageData
from handlers.vision.gpu_batching import decoder_of, example, sample, with_decoder
from handlers.vision.huggingface.label_sets import LabelSet, LabelSets, read_labels, read_template
from handlers.vision.transform import ImageTransform

# Texts that the model reads at a time.
TEXTS = 64
# What SigLIP was trained on, and is fed by transformers' pipeline: texts filled up to this length.
SIGLIP_TOKENS = 64


@dataclass(frozen=True)
class ZeroShotInput:
    image: ImageData
    labels: LabelSet
    top_k: int


class ZeroShotClassification(ImageHandler[ZeroShotInput, NDArray[np.float32]]):
    """For Hugging Face folders of CLIP and SigLIP: two towers, for images and for texts, and a tokenizer.

    CLIP's probabilities are those of one label among the request's; SigLIP's are of each label by itself. The labels of
    the spec are for requests that bring none.
    """

    def load(self) -> None:
        from transformers import AutoTokenizer

        self.towers = cast("Any", load_model(self.artifact, self.device))
        if not hasattr(self.towers, "get_text_features") or not hasattr(self.towers, "logit_scale"):
            raise LoadError(f"{type(self.towers).__name__} does not compare images with texts as CLIP and SigLIP do")
        self.independent = "siglip" in self.towers.config.model_type
        self.transform = ImageTransform.from_dict(self.artifact.preprocessing)
        self.batcher = ImageBatcher(self.transform, int(self.limits["max_pixels"]), self.device)
        self.tokenizer = pretrained.read(AutoTokenizer, self.artifact.weights, "tokenizer")
        self.max_tokens = int(self.towers.config.text_config.max_position_embeddings)
        if self.independent:
            self.max_tokens = min(self.max_tokens, SIGLIP_TOKENS)
        self.max_labels = int(self.limits["max_labels"])
        self.max_characters = int(self.limits["max_label_characters"])
        self.top_k = int(self.options["top_k"])
        self.label_sets = LabelSets(self.tokenise, self.max_tokens, int(self.options["label_sets"]))
        self.template = read_template(self.options["template"], self.max_characters)
        if self.labels:
            read_labels(self.labels, self.max_labels, self.max_characters)
        judge = by_probabilities(self.own_probabilities) if self.labels else by_norm
        self.forward = self.accelerate(self.build, example(self.artifact, self.batcher), judge=judge)
        self.batcher = with_decoder(
            self.batcher, lambda: sample(self.artifact), self.forward, self.options["decode"], judge
        )
        if self.device.type == "cpu" and not isinstance(self.forward, Normalised):
            self.towers.vision_model = None  # a graph has weights of its own

    def describe_runtime(self) -> dict[str, str]:
        return decoder_of(self.batcher)

    def build(self) -> Normalised:
        return Normalised(ImageFeatures(self.towers), self.transform).to(self.device).eval()

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(list(texts), verbose=False)["input_ids"]
        return ids

    def decode(self, payload: Payload) -> ZeroShotInput:
        asked = payload.parameters.get("labels")
        if asked is None and not self.labels:
            raise InvalidInput("labels: missing; this model has none of its own, so a request names its classes")
        labels = self.labels if asked is None else asked
        labels = read_labels(labels, self.max_labels, self.max_characters)
        template = read_template(payload.parameters.get("template", self.template), self.max_characters)
        top_k = payload.integer("top_k", min(self.top_k, len(labels)), 1, len(labels))
        image = self.batcher.open(payload)
        return ZeroShotInput(image, self.label_sets.get(labels, template), top_k)

    def predict(self, items: Sequence[ZeroShotInput]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (labels,) for each image, of its own labels."""
        self.read_texts([item.labels for item in items])
        [images] = self.forward(self.batcher.batch([item.image for item in items]))
        images_ND = F.normalize(images.to(self.device), dim=1)
        return [self.probabilities(item.labels, image_D) for item, image_D in zip(items, images_ND, strict=True)]

    def probabilities(self, labels: LabelSet, image_D: Tensor) -> NDArray[np.float32]:
        if labels.features is None:
            raise ValueError("the labels' texts were not read")
        logits = labels.features @ image_D * self.towers.logit_scale.float().exp()
        if hasattr(self.towers, "logit_bias"):
            logits = logits + self.towers.logit_bias.float()
        found: NDArray[np.float32] = (logits.sigmoid() if self.independent else logits.softmax(dim=0)).cpu().numpy()
        return found

    def own_probabilities(self, outputs: Outputs) -> list[Tensor]:
        """Of the spec's labels, by the model's outputs for images."""
        labels = read_labels(self.labels, self.max_labels, self.max_characters)
        own = self.label_sets.get(labels, self.template)
        self.read_texts([own])
        images_ND = F.normalize(outputs[0].float(), dim=1)
        return [torch.from_numpy(np.stack([self.probabilities(own, image_D) for image_D in images_ND]))]

    def read_texts(self, label_sets: Sequence[LabelSet]) -> None:
        """The texts of the labels that the model has not read yet, all sets' together."""
        new = list({id(labels): labels for labels in label_sets if labels.features is None}.values())
        if not new:
            return
        tokens = [ids for labels in new for ids in labels.tokens]
        features = torch.cat(list(self.text_features(tokens)))
        for labels, found in zip(new, features.split([len(labels.tokens) for labels in new]), strict=True):
            labels.features = found.clone()

    def text_features(self, tokens: list[list[int]]) -> Iterator[Tensor]:
        """(texts, D) of length 1, of some texts at a time."""
        padding: dict[str, Any] = {"padding": True}
        if self.independent:
            padding = {"padding": "max_length", "max_length": self.max_tokens}
        for first in range(0, len(tokens), TEXTS):
            inputs = self.tokenizer.pad(
                {"input_ids": tokens[first : first + TEXTS]}, return_tensors="pt", verbose=False, **padding
            )
            output = self.towers.get_text_features(**inputs.to(self.device))
            yield F.normalize((output if isinstance(output, Tensor) else output.pooler_output).float(), dim=1)

    def encode(self, item: ZeroShotInput, output: NDArray[np.float32], media_type: str) -> Response:
        ranked = rank(output, item.labels.labels, item.top_k)
        # A metric for each label that anybody may think of would have no bound.
        classes = [ranked[0]["label"]] if list(item.labels.labels) == self.labels else []
        return Response(to_json({"predictions": ranked}), classes=classes)
