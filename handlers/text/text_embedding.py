"""Text embedding: a text in, a vector out whose direction says what the text means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from handlers.acceleration.equivalence import Outputs, by_norm
from handlers.errors import InternalError
from handlers.networks.encoder import NOTHING
from handlers.networks.pooling import masked_mean
from handlers.protocol.openai.call import EMBEDDINGS
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.text.encoder import TextEncoder
from handlers.text.handler import TextInput


class TextEmbedding(TextEncoder[TextInput, NDArray[np.float32]]):
    """For encoders trained with mean pooling (Reimers and Gurevych 2019, Sentence-BERT)."""

    outputs = ("last_hidden_state",)
    openai = (EMBEDDINGS,)

    def decode(self, payload: Payload) -> TextInput:
        ids, total = self.cut_ids(self.read(payload.data))
        return TextInput(ids=ids, total=total)

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        return by_norm(found, wanted)

    def run(self, items: Sequence[TextInput], tokens: Tensor) -> Sequence[NDArray[np.float32]]:
        """(dimensions,) for each text, of length 1: the mean over its tokens, normalised."""
        [states] = self.forward(tokens)
        return list(F.normalize(masked_mean(states, tokens[:, 0] != NOTHING), dim=1).cpu().numpy())

    def encode(self, item: TextInput, output: NDArray[np.float32], media_type: str) -> Response:
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        return Response(to_json({"embedding": output} | item.truncation_info()))
