"""Audio classification: a recording in, the most probable classes out; long ones by sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.audio import MAX_SECONDS, decode_audio
from handlers.base import Handler
from handlers.payload import Kind, Payload
from handlers.ranking import rank

MIN_ENERGY = 1e-10


@dataclass(frozen=True)
class Recording:
    """windows: (windows, samples) of the model's length, half a window apart. weights: (windows,), they sum to 1."""

    windows: Tensor
    weights: NDArray[np.float32]
    top_k: int


class AudioClassification(Handler[Recording, NDArray[np.float32]]):
    kind = Kind.MEDIA

    def load(self) -> None:
        super().load()
        self.sample_rate = int(self.artifact.preprocessing["sample_rate"])
        self.window = round(self.artifact.preprocessing["seconds"] * self.sample_rate)
        self.max_seconds = float(self.limits.get("max_seconds", MAX_SECONDS))
        self.top_k = int(self.options.get("top_k", 5))

    def decode(self, payload: Payload) -> Recording:
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        windows = split(decode_audio(payload, self.sample_rate, self.max_seconds), self.window)
        # Windows count by their energy, so that silence around a word does not water down its answer.
        energy = windows.square().mean(dim=1).numpy() + MIN_ENERGY
        return Recording(windows, energy / energy.sum(), top_k)

    def predict(self, items: Sequence[Recording]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (windows, classes) for each recording."""
        windows_BT = torch.cat([item.windows for item in items])
        # A long recording has many windows: the model still sees batches of the size it was warmed up with.
        logits = [
            self.model(chunk.to(self.device)).float().cpu() for chunk in windows_BT.split(max(self.batch_size, 8))
        ]
        probabilities = torch.cat(logits).softmax(dim=1)
        return [part.numpy() for part in probabilities.split([len(item.windows) for item in items])]

    def encode(self, item: Recording, output: NDArray[np.float32], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        ranked = rank(item.weights @ output, self.labels, item.top_k)
        body: dict[str, Any] = {"predictions": ranked}
        if len(output) > 1:
            seconds = self.window / self.sample_rate
            body["windows"] = [
                {"start": i * seconds / 2, "end": i * seconds / 2 + seconds, **rank(row, self.labels, 1)[0]}
                for i, row in enumerate(output)
            ]
        return Answer(to_json(body), classes=[ranked[0]["label"]])


def split(waveform: Tensor, window: int) -> Tensor:
    """(samples,) → (windows, window), half a window apart; a short recording stands in the middle of silence."""
    missing = window - len(waveform)
    if missing >= 0:
        return F.pad(waveform, (missing // 2, missing - missing // 2))[None]
    hop = window // 2
    tail = -(len(waveform) - window) % hop
    return F.pad(waveform, (0, tail)).unfold(0, window, hop)
