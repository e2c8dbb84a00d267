"""Extractive question answering: a question and a text in, the pieces of the text that answer it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.acceleration.equivalence import Outputs, by_probabilities
from handlers.errors import InternalError, InvalidInput
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import softmax
from handlers.text.encoder import TextEncoder
from handlers.text.handler import TextInput

MAX_ANSWERS = 20


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringInput(TextInput):
    """A question and its context as one sequence.

    offsets: for each token where it begins and ends in the context, in characters; None for one that is not of it.
    """

    context: str
    offsets: list[tuple[int, int] | None]
    top_k: int
    max_answer_tokens: int


class QuestionAnswering(TextEncoder[QuestionAnsweringInput, NDArray[np.float32]]):
    """For models with a logit for each token to begin and to end an answer (Devlin et al. 2019, section 4.2)."""

    outputs = ("start_logits", "end_logits")
    typed = True

    def load(self) -> None:
        super().load()
        self.top_k = int(self.options["top_k"])
        self.max_answer_tokens = min(int(self.options["max_answer_tokens"]), self.max_length)

    def decode(self, payload: Payload) -> QuestionAnsweringInput:
        """The data is the context, the question a parameter. A pair that is too long loses the end of its context."""
        if "question" not in payload.parameters:
            raise InvalidInput("question: missing; wanted a question and a context")
        question = self.read(payload.parameters["question"], "the question")
        context = self.read(payload.data, "the context")
        top_k = payload.integer("top_k", self.top_k, 1, MAX_ANSWERS)
        longest = payload.integer("max_answer_tokens", self.max_answer_tokens, 1, self.max_length)
        with self.lock:
            pair = self.tokenizer(question, context, verbose=False)
            total = len(pair["input_ids"])
            limit = {}
            if total > self.max_length:
                if total - len(self.tokenizer(context, add_special_tokens=False)["input_ids"]) >= self.max_length:
                    raise InvalidInput(f"the question leaves none of the model's {self.max_length} tokens to a context")
                limit = {"truncation": "only_second", "max_length": self.max_length}
            encoded = self.tokenizer(question, context, return_offsets_mapping=True, verbose=False, **limit)
        offsets = [
            (start, end) if part == 1 else None
            for (start, end), part in zip(encoded["offset_mapping"], encoded.sequence_ids(), strict=True)
        ]
        return QuestionAnsweringInput(
            ids=encoded["input_ids"],
            total=total,
            context=context,
            types=encoded.get("token_type_ids"),
            offsets=offsets,
            top_k=top_k,
            max_answer_tokens=longest,
        )

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        """By the probabilities of beginning and of ending an answer, over the tokens."""
        return by_probabilities(lambda outputs: [part.softmax(1) for part in outputs])(found, wanted)

    def run(self, items: Sequence[QuestionAnsweringInput], tokens: Tensor) -> Sequence[NDArray[np.float32]]:
        """(2, tokens) for each pair: the logits of beginning and of ending an answer, without the padding."""
        logits = torch.stack(self.forward(tokens), dim=1).cpu().numpy()
        return [each[:, self.place(item, each.shape[1])] for item, each in zip(items, logits, strict=True)]

    def encode(self, item: QuestionAnsweringInput, output: NDArray[np.float32], media_type: str) -> Response:
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        return Response(to_json({"answers": best_spans(item, output)} | item.truncation_info()))


def best_spans(pair: QuestionAnsweringInput, logits: NDArray[np.float32]) -> list[dict[str, Any]]:
    """The `top_k` spans of the context with the highest score, best first, none overlapping a better one.

    The score of a span is the probability of its first token to begin an answer times that of its last to end one,
    each a softmax over the context's tokens.
    """
    inside = [index for index, offset in enumerate(pair.offsets) if offset is not None and offset[0] < offset[1]]
    begin, end = (softmax(row[inside].astype(np.float64)) for row in logits)
    scores = np.tril(np.triu(np.outer(begin, end)), pair.max_answer_tokens - 1)
    found: list[dict[str, Any]] = []
    taken = np.zeros(len(inside), dtype=bool)
    # Each span that is found hides those that overlap it, so a few more than asked for are looked at, never all.
    while len(found) < pair.top_k and scores.max(initial=0) > 0:
        first, last = np.unravel_index(scores.argmax(), scores.shape)
        score = float(scores[first, last])
        taken[first : last + 1] = True
        scores[first : last + 1, :] = 0  # begins in it
        scores[:, first : last + 1] = 0  # ends in it
        scores[:first, last + 1 :] = 0  # holds it
        (start, _), (_, stop) = pair.offsets[inside[first]], pair.offsets[inside[last]]  # type: ignore[misc]
        found.append({"text": pair.context[start:stop], "start": start, "end": stop, "score": score})
    return found
