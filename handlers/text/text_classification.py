"""Text classification: a text in, the most probable classes out, or all the classes that apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from handlers.acceleration.equivalence import Outputs, by_norm, by_probabilities
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import check_count, rank
from handlers.text.encoder import TextEncoder
from handlers.text.handler import TextInput


@dataclass(frozen=True, kw_only=True)
class TextClassificationInput(TextInput):
    """threshold: the probability from which on a class applies, for multi-label models."""

    top_k: int
    threshold: float


class TextClassification(TextEncoder[TextClassificationInput, NDArray[np.float32]]):
    """For sequence classification folders: single-label, or by their `problem_type` multi-label or regression.

    A model of one label says by a sigmoid whether it applies, as a multi-label model does of each; one for regression
    is answered with its raw scores. Both as in the pipelines of transformers.
    """

    outputs = ("logits",)

    def load(self) -> None:
        super().load()
        self.top_k = int(self.options["top_k"])
        self.threshold = float(self.options["threshold"])

    @property
    def regression(self) -> bool:
        return self.config.get("problem_type") == "regression"

    @property
    def multi_label(self) -> bool:
        problem = self.config.get("problem_type")
        return not self.regression and (problem == "multi_label_classification" or len(self.labels) == 1)

    def decode(self, payload: Payload) -> TextClassificationInput:
        text = self.read(payload.data)
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        threshold = payload.number("threshold", self.threshold, 0, 1) if self.multi_label else self.threshold
        ids, total = self.cut_ids(text)
        return TextClassificationInput(ids=ids, total=total, top_k=top_k, threshold=threshold)

    def run(self, items: Sequence[TextClassificationInput], tokens: Tensor) -> Sequence[NDArray[np.float32]]:
        """Probabilities (classes,) for each text, or the scores of a regression."""
        [logits] = self.forward(tokens)
        check_count(logits.shape[1], self.labels)
        return list(self.read_logits(logits).cpu().numpy())

    def read_logits(self, logits: Tensor) -> Tensor:
        """(B, classes): probabilities, or the scores of a regression."""
        if self.regression:
            return logits
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        if self.regression:
            return by_norm(found, wanted)
        return by_probabilities(lambda outputs: [self.read_logits(outputs[0])])(found, wanted)

    def encode(self, item: TextClassificationInput, output: NDArray[np.float32], media_type: str) -> Response:
        if self.regression:
            scores = {"predictions": rank(output, self.labels, item.top_k, "score")}
            return Response(to_json(scores | item.truncation_info()))
        ranked = rank(output, self.labels, len(self.labels))
        body: dict[str, Any] = {"predictions": ranked[: item.top_k]}
        found = [ranked[0]["label"]]
        if self.multi_label:
            found = body["labels"] = [each["label"] for each in ranked if each["probability"] >= item.threshold]
        confidence = ranked[0]["probability"]
        return Response(to_json(body | item.truncation_info()), classes=found, confidence=confidence)
