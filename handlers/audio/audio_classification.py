"""Audio classification: a recording in, the most probable classes out; long ones by sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.acceleration.equivalence import Outputs, by_probabilities
from handlers.audio.front_end.level import is_silent
from handlers.audio.windowed import Item, WindowedAudio, by_item
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import check_count, rank

# The probability from which a class applies that does not exclude others.
APPLIES = 0.5


@dataclass(frozen=True)
class AudioClassificationInput(Item):
    top_k: int


class AudioClassification(WindowedAudio[AudioClassificationInput]):
    """For models from waveforms (B, samples) to logits (B, classes), and Hugging Face audio classification folders.

    Classes exclude each other, unless there is only one, or the folder's `problem_type` says that several can apply.
    """

    def load(self) -> None:
        super().load()
        self.top_k = int(self.options["top_k"])

    @property
    def exclusive(self) -> bool:
        problem_type = getattr(getattr(self.model, "config", None), "problem_type", None)
        return len(self.labels) > 1 and problem_type != "multi_label_classification"

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        return by_probabilities(lambda outputs: [self.probabilities(outputs[0])])(found, wanted)

    def decode(self, payload: Payload) -> AudioClassificationInput:
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        item = self.cut(payload)
        return AudioClassificationInput(item.windows, item.additions, top_k)

    def predict(self, items: Sequence[AudioClassificationInput]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (windows, classes) for each recording."""
        found = self.probabilities(torch.from_numpy(self.outputs_of(items))).numpy()
        check_count(found.shape[1], self.labels)
        return by_item(found, items)

    def read(self, output: Any) -> Tensor:
        """Logits (B, classes)."""
        logits: Tensor = getattr(output, "logits", output)
        return logits.float()

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1) if self.exclusive else logits.sigmoid()

    def encode(self, item: AudioClassificationInput, output: NDArray[np.float32], media_type: str) -> Response:
        """In silence no class is guessed, neither in a window nor for the whole recording."""
        silent = "silent" in item.additions
        ranked = [] if silent else rank(item.windows.mean(output), self.labels, len(self.labels))
        found = [each["label"] for each in (ranked[:1] if self.exclusive else applicable(ranked))]
        body: dict[str, Any] = {"predictions": ranked[: item.top_k]} | ({} if self.exclusive else {"labels": found})
        if len(output) > 1:
            inaudible = is_silent(item.windows.waveforms).tolist()
            body["windows"] = [
                {"start": start, "end": end, **({"silent": True} if silent or no else rank(row, self.labels, 1)[0])}
                for (start, end), row, no in zip(item.windows.spans, output, inaudible, strict=True)
            ]
        confidence = ranked[0]["probability"] if ranked else None
        return Response(to_json(body | item.additions), classes=found, confidence=confidence)


def applicable(ranked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in ranked if each["probability"] >= APPLIES]
