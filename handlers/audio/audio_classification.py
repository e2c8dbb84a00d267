"""Audio classification: a recording in, the most probable classes out; long ones by sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.audio.windowed import Item, WindowedAudio
from handlers.protocol.negotiation import negotiate
from handlers.protocol.payload import Payload
from handlers.protocol.response import JSON, Response, to_json
from handlers.ranking import rank


@dataclass(frozen=True)
class AudioClassificationInput(Item):
    top_k: int


class AudioClassification(WindowedAudio[AudioClassificationInput]):
    """For models from waveforms (B, samples) to logits (B, classes), and Hugging Face audio classification folders."""

    def load(self) -> None:
        super().load()
        self.top_k = int(self.options["top_k"])

    def decode(self, payload: Payload) -> AudioClassificationInput:
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        item = self.cut(payload)
        return AudioClassificationInput(item.windows, item.features, top_k)

    def predict(self, items: Sequence[AudioClassificationInput]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (windows, classes) for each recording."""
        return self.by_window(items, lambda output: getattr(output, "logits", output).float().softmax(dim=1))

    def encode(self, item: AudioClassificationInput, output: NDArray[np.float32], accept: str) -> Response:
        negotiate(accept, (JSON,))
        ranked = rank(item.windows.mean(output), self.labels, item.top_k)
        body: dict[str, Any] = {"predictions": ranked}
        if len(output) > 1:
            body["windows"] = [
                {"start": start, "end": end, **rank(row, self.labels, 1)[0]}
                for (start, end), row in zip(item.windows.spans, output, strict=True)
            ]
        return Response(to_json(body | item.features), classes=[ranked[0]["label"]])
