"""Text classification: a text in, the most probable classes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.base import Handler
from handlers.errors import InvalidInput, TooLarge
from handlers.payload import Kind, Payload
from handlers.ranking import rank

MAX_CHARACTERS = 100_000


@dataclass(frozen=True)
class Text:
    """ids: token ids, cut to the model's length; truncated: whether something was cut off."""

    ids: list[int]
    truncated: bool
    top_k: int


class TextClassification(Handler[Text, NDArray[np.float32]]):
    """For Hugging Face sequence classification folders with their tokenizer."""

    kind = Kind.TEXT

    def load(self) -> None:
        from transformers import AutoTokenizer

        super().load()
        self.tokenizer = AutoTokenizer.from_pretrained(
            self.artifact.weights, local_files_only=True, trust_remote_code=False
        )
        self.max_length = int(self.artifact.preprocessing["max_length"])
        self.max_characters = int(self.limits.get("max_characters", MAX_CHARACTERS))
        self.top_k = int(self.options.get("top_k", 5))

    def decode(self, payload: Payload) -> Text:
        text = payload.data
        if not isinstance(text, str):
            raise InvalidInput(f"the data is a {type(text).__name__}; wanted text")
        if len(text) > self.max_characters:
            raise TooLarge(f"the text has {len(text)} characters, the limit is {self.max_characters}")
        if not text.strip():
            raise InvalidInput("the text is empty")
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        ids: list[int] = self.tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"]
        truncated = len(ids) == self.max_length and len(self.tokenizer(text)["input_ids"]) > self.max_length
        return Text(ids, truncated, top_k)

    def predict(self, items: Sequence[Text]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (classes,) for each text; padded to the longest of the batch, the padding masked."""
        batch = self.tokenizer.pad({"input_ids": [item.ids for item in items]}, return_tensors="pt").to(self.device)
        logits = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return list(logits.float().softmax(dim=1).cpu().numpy())

    def encode(self, item: Text, output: NDArray[np.float32], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        ranked = rank(output, self.labels, item.top_k)
        body: dict[str, Any] = {"predictions": ranked}
        if item.truncated:
            body["truncated"] = True
        return Answer(to_json(body), classes=[ranked[0]["label"]])
