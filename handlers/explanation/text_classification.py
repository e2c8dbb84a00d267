"""The explanation of a class of a text: what each token speaks for or against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from handlers.errors import InvalidInput
from handlers.explanation.answer import described
from handlers.explanation.asked import INTEGRATED_GRADIENTS, OCCLUSION, Asked, read_method, read_target
from handlers.explanation.attribution import Attribution, Attributor, Score
from handlers.explanation.explainer import Explainer
from handlers.explanation.tokens import Token, stand_in, tokens_of, weighted
from handlers.networks.encoder import Encoder
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import Response, to_json
from handlers.text.handler import TextInput
from handlers.text.text_classification import TextClassification

BASELINES = ("pad", "mask", "unknown")


@dataclass(frozen=True, kw_only=True)
class TextQuestion(TextInput):
    """tokens: of the text, without those that a model wants around it. baseline: ids with ones that say nothing in the
    place of these."""

    tokens: list[Token]
    baseline: list[int]
    asked: Asked


@dataclass(frozen=True)
class TextAttribution:
    """attribution: of each token of the model's input. target: the class's index. runs: of the model."""

    attribution: Attribution
    target: int
    runs: int


class TextClassificationExplainer(Explainer[TextClassification, TextQuestion, TextAttribution]):
    """A class's score is its logit. Integrated gradients are those of the word embeddings, added up for each token."""

    task_class = TextClassification
    input_type = InputType.TEXT
    methods: ClassVar[tuple[str, ...]] = (INTEGRATED_GRADIENTS, OCCLUSION)

    def load(self) -> None:
        super().load()
        forward: Any = self.task.forward
        self.encoder: Encoder = forward
        network: Any = self.encoder.network
        self.embeddings: nn.Module = network.get_input_embeddings()
        kinds = [kind for kind in BASELINES if stand_in(self.task.tokenizer, kind) is not None]
        if not kinds:
            raise ValueError("the tokenizer has no token for padding, for a mask or for what it does not know")
        self.baselines = tuple(kinds)

    def decode(self, payload: Payload) -> TextQuestion:
        text = self.task.read(payload.data)
        method = read_method(payload, self.methods, self.differentiable)
        target = read_target(payload, self.labels)
        steps, refine = self.explain_limits.steps(payload, method)
        kind = payload.choice("baseline", self.baselines[0], self.baselines)
        fast = self.task.tokenizer.is_fast
        encoded, total = self.task.tokens(text, return_offsets_mapping=fast, return_special_tokens_mask=True)
        ids = encoded["input_ids"]
        tokens = tokens_of(text, self.task.tokenizer, encoded)
        if not tokens:
            raise InvalidInput("the text has no token that the model reads")
        runs = steps if method == INTEGRATED_GRADIENTS else len(ids)
        self.explain_limits.check(runs, f"a text of {len(ids)} tokens", f"a shorter one, or {INTEGRATED_GRADIENTS}")
        nothing = stand_in(self.task.tokenizer, kind) or 0
        own = {token.position for token in tokens}
        return TextQuestion(
            ids=ids,
            total=total,
            tokens=tokens,
            baseline=[nothing if position in own else each for position, each in enumerate(ids)],
            asked=Asked(method, target, steps, refine, evaluations=runs),
        )

    def explain_item(self, item: TextQuestion, attributor: Callable[[Score], Attributor]) -> TextAttribution:
        inputs, baseline = (torch.tensor([[each]], device=self.device) for each in (item.ids, item.baseline))
        index = item.asked.target
        if index is None:
            with torch.no_grad():
                index = int(self.encoder(inputs)[0][0].argmax())

        def score(tokens: Tensor) -> Tensor:
            return self.encoder(tokens)[0][:, index]

        by = attributor(score)
        if item.asked.method == INTEGRATED_GRADIENTS:
            found = by.integrated_gradients(
                inputs, baseline, item.asked.n_steps, item.asked.refine, layer=self.embeddings
            )
        else:
            found = by.ablation(inputs, baseline)
        return TextAttribution(found, index, by.runs)

    def encode(self, item: TextQuestion, output: TextAttribution, media_type: str) -> Response:
        label, found = self.labels[output.target], output.attribution
        body = {
            **described(item.asked, found, label, output.target, output.runs),
            "attributions": weighted(item.tokens, found.values.flatten().tolist()),
        }
        return Response(to_json(body | item.truncation_info()), classes=[label])
