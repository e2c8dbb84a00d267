"""Token classification: a text in, the entities it names out, with where they stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from handlers.errors import InternalError
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import check_count
from handlers.text.encoder import TextEncoder
from handlers.text.handler import TextInput

OUTSIDE = "O"


@dataclass(frozen=True, kw_only=True)
class TokenClassificationInput(TextInput):
    """offsets: for each token where it begins and ends in the text, in characters; None for one that is not of it."""

    text: str
    offsets: list[tuple[int, int] | None]


class TokenClassification(TextEncoder[TokenClassificationInput, NDArray[np.float32]]):
    """For models whose labels are in the BIO scheme (Ramshaw and Marcus 1995): B-X begins an X, I-X goes on with it."""

    outputs = ("logits",)

    def decode(self, payload: Payload) -> TokenClassificationInput:
        text = self.read(payload.data)
        encoded, total = self.tokens(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        offsets = [
            None if special else (start, end)
            for (start, end), special in zip(encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
        ]
        return TokenClassificationInput(ids=encoded["input_ids"], total=total, text=text, offsets=offsets)

    def run(self, items: Sequence[TokenClassificationInput], tokens: Tensor) -> Sequence[NDArray[np.float32]]:
        """Probabilities (tokens, labels) for each text, without its padding."""
        [logits] = self.forward(tokens)
        check_count(logits.shape[2], self.labels)
        probabilities = logits.softmax(dim=2).cpu().numpy()
        return [each[self.place(item, len(each))] for item, each in zip(items, probabilities, strict=True)]

    def encode(self, item: TokenClassificationInput, output: NDArray[np.float32], media_type: str) -> Response:
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        found = entities(item, output, self.labels)
        body = {"entities": [each.to_dict(item.text) for each in found]}
        return Response(to_json(body | item.truncation_info()), classes=[each.kind for each in found])


@dataclass(frozen=True)
class Entity:
    """kind: without its prefix. start, end: in characters of the text. positions: of its tokens. score: the mean of
    their probabilities."""

    kind: str
    start: int
    end: int
    positions: list[int]
    score: float

    def to_dict(self, text: str) -> dict[str, Any]:
        place = {"start": self.start, "end": self.end}
        return {"label": self.kind, "text": text[self.start : self.end], **place, "score": self.score}


def entities(
    sentence: TokenClassificationInput, probabilities: NDArray[np.float32], labels: Sequence[str]
) -> list[Entity]:
    """Neighbouring tokens of one kind as one entity; a B- begins another, as does a change of kind.

    Labels without a prefix count as I-.
    """
    groups: list[tuple[str, list[int], list[float]]] = []
    last = OUTSIDE
    for position, (offset, row) in enumerate(zip(sentence.offsets, probabilities, strict=True)):
        if offset is None:
            continue
        index = int(row.argmax())
        prefix, kind = parts(labels[index])
        if kind != OUTSIDE:
            if prefix == "B" or kind != last:
                groups.append((kind, [], []))
            groups[-1][1].append(position)
            groups[-1][2].append(float(row[index]))
        last = kind
    found = []
    for kind, positions, scores in groups:
        (begin, _), (_, stop) = sentence.offsets[positions[0]], sentence.offsets[positions[-1]]  # type: ignore[misc]
        start, end = trimmed(sentence.text, begin, stop)
        if start < end:
            found.append(Entity(kind, start, end, positions, sum(scores) / len(scores)))
    return found


def parts(label: str) -> tuple[str, str]:
    """`"B-PER"` → `("B", "PER")`."""
    return (label[0], label[2:]) if label.startswith(("B-", "I-")) else ("I", label)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the space that some tokenizers count as part of the word behind it."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
