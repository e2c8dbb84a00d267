"""Text embedding: a text in, a vector out whose direction says what the text means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.errors import InternalError
from handlers.networks.pooling import masked_mean
from handlers.payload import Payload
from handlers.text import Text, TextHandler


class TextEmbedding(TextHandler[Text, NDArray[np.float32]]):
    """For encoders trained with mean pooling (Reimers and Gurevych 2019, Sentence-BERT)."""

    def decode(self, payload: Payload) -> Text:
        encoded, total = self.tokens(self.read(payload.data))
        return Text(ids=encoded["input_ids"], total=total)

    def run(self, items: Sequence[Text], batch: Mapping[str, Tensor]) -> Sequence[NDArray[np.float32]]:
        """(dimensions,) for each text, of length 1: the mean over its tokens, normalised."""
        states = self.model(**batch).last_hidden_state.float()
        return list(F.normalize(masked_mean(states, batch["attention_mask"]), dim=1).cpu().numpy())

    def encode(self, item: Text, output: NDArray[np.float32], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        return Answer(to_json({"embedding": output} | item.told()))
