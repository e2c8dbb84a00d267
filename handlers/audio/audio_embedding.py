"""Audio embedding: a recording in, a vector out whose direction says what it sounds like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from handlers.acceleration.equivalence import Outputs, by_norm
from handlers.audio.windowed import Item, WindowedAudio, by_item
from handlers.errors import InternalError
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json

MIN_NORM = 1e-12


class AudioEmbedding(WindowedAudio[Item]):
    """For models from waveforms (B, samples) to vectors (B, dimensions), and Hugging Face encoders: the mean over time
    of their last hidden states."""

    def decode(self, payload: Payload) -> Item:
        return self.cut(payload)

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        return by_norm(found, wanted)

    def predict(self, items: Sequence[Item]) -> Sequence[NDArray[np.float32]]:
        """(windows, dimensions) for each recording."""
        return by_item(self.outputs_of(items), items)

    def read(self, output: Any) -> Tensor:
        """Vectors (B, dimensions)."""
        if isinstance(output, Tensor):
            return output.float()
        states: Tensor = output.last_hidden_state
        return states.float().mean(dim=1)

    def encode(self, item: Item, output: NDArray[np.float32], media_type: str) -> Response:
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        mean = item.windows.mean(output)
        return Response(to_json({"embedding": mean / max(float(np.linalg.norm(mean)), MIN_NORM)} | item.additions))
