"""Audio classification: a recording in, the most probable classes out; long ones by sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.payload import Payload
from handlers.ranking import rank
from handlers.windowed_audio import Item, WindowedAudio


@dataclass(frozen=True)
class Recording(Item):
    top_k: int


class AudioClassification(WindowedAudio[Recording]):
    """For models from waveforms (B, samples) to logits (B, classes), and Hugging Face audio classification folders."""

    def load(self) -> None:
        super().load()
        self.top_k = int(self.options.get("top_k", 5))

    def decode(self, payload: Payload) -> Recording:
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        item = self.cut(payload)
        return Recording(item.windows, item.features, top_k)

    def predict(self, items: Sequence[Recording]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (windows, classes) for each recording."""
        return self.by_window(items, lambda output: getattr(output, "logits", output).float().softmax(dim=1))

    def encode(self, item: Recording, output: NDArray[np.float32], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        ranked = rank(item.windows.mean(output), self.labels, item.top_k)
        body: dict[str, Any] = {"predictions": ranked}
        if len(output) > 1:
            body["windows"] = [
                {"start": start, "end": end, **rank(row, self.labels, 1)[0]}
                for (start, end), row in zip(item.windows.spans, output, strict=True)
            ]
        return Answer(to_json(body | item.features), classes=[ranked[0]["label"]])
