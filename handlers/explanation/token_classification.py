"""Explains the class of an entity, or of a token, in a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from handlers.errors import InvalidInput
from handlers.explanation.texts import TextExplainer, TextQuestion, TextScore
from handlers.explanation.tokens import Token
from handlers.protocol.payload import Payload
from handlers.text.token_classification import TokenClassification, TokenClassificationInput, entities

ENTITY, TOKEN = "entity", "token"


@dataclass(frozen=True)
class Place:
    """kind: whether `index` counts the entities in a prediction's answer or the tokens in an explanation's."""

    kind: str
    index: int
    text: TokenClassificationInput


class TokenClassificationExplainer(TextExplainer[TokenClassification]):
    """A request chooses an entity by its index in the prediction for the same text, by default the first, or a token by
    its index among the attributions.

    The score of a token's class is its logit at the token. An entity's is the mean over its tokens, of the class
    predicted for each or, if given, of the `target`.
    """

    task_class = TokenClassification
    always: ClassVar[Mapping[str, int]] = {TOKEN: 0}  # a text without entities has tokens

    def about(self, payload: Payload, tokens: list[Token]) -> Place:
        if {ENTITY, TOKEN} <= payload.parameters.keys():
            raise InvalidInput("entity and token: got both, wanted one of them")
        kind = TOKEN if TOKEN in payload.parameters else ENTITY
        index = payload.integer(kind, 0, 0, len(tokens) - 1)
        return Place(kind, index, self.task.decode(payload))

    def score_of(self, item: TextQuestion, inputs: Tensor) -> TextScore:
        place: Place = item.about
        [probabilities] = self.task.run([place.text], inputs)
        if place.kind == TOKEN:
            positions = [item.tokens[place.index].position]
        else:
            predicted = entities(place.text, probabilities, self.labels)
            if place.index >= len(predicted):
                count = f"{len(predicted)} entities, counted from 0" if predicted else "no entity"
                raise InvalidInput(f"entity: got {place.index}; the model finds {count}; choose a token instead")
            positions = predicted[place.index].positions
        likeliest = probabilities[positions].argmax(axis=1).tolist()
        classes = likeliest if item.asked.target is None else [item.asked.target] * len(positions)
        rows, columns = torch.tensor(positions), torch.tensor(classes)

        def score(tokens: Tensor) -> Tensor:
            [logits] = self.encoder(tokens)
            return logits[:, rows, columns].mean(dim=1)

        chosen = [token for token in item.tokens if token.position in positions]
        span = {"start": chosen[0].start, "end": chosen[-1].end}
        return TextScore(classes[0], score, {place.kind: {"index": place.index, **span}})
