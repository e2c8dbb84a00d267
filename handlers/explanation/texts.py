"""Explanations for texts: how far each token speaks for or against a class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

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
from handlers.text.encoder import TextEncoder
from handlers.text.handler import TextInput

BASELINES = ("pad", "mask", "unknown")


@dataclass(frozen=True, kw_only=True)
class TextQuestion(TextInput):
    """tokens: the text's, without the special ones around it. baseline: the ids, with meaningless ones in place of
    those tokens. about: a task's additional parameters."""

    tokens: list[Token]
    baseline: list[int]
    asked: Asked
    about: Any = None


@dataclass(frozen=True)
class TextScore:
    """index: of the explained class. score: token ids (N, 1, length) → (N,). additions: to the answer."""

    index: int
    score: Score
    additions: dict[str, Any]


@dataclass(frozen=True)
class TextAttribution:
    """attribution: for each token of the model's input. runs: of the model."""

    attribution: Attribution
    explained: TextScore
    runs: int


Task = TypeVar("Task", bound=TextEncoder[Any, Any])


class TextExplainer(Explainer[Task, TextQuestion, TextAttribution]):
    """A subclass defines which score explains a class. Integrated gradients are those of the word embeddings, added up
    for each token."""

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
            raise ValueError("the tokenizer has no token for padding, for a mask or for unknown text")
        self.baselines = tuple(kinds)

    @abstractmethod
    def score_of(self, item: TextQuestion, inputs: Tensor) -> TextScore:
        """The class to explain, and its score. inputs: the item's ids (1, 1, length). Raises RequestError."""

    def about(self, payload: Payload, tokens: list[Token]) -> Any:
        """A task's additional parameters."""
        return None

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
            baseline=[nothing if position in own else token for position, token in enumerate(ids)],
            asked=Asked(method, target, steps, refine, evaluations=runs),
            about=self.about(payload, tokens),
        )

    def explain_item(self, item: TextQuestion, attributor: Callable[[Score], Attributor]) -> TextAttribution:
        inputs, baseline = (torch.tensor([[ids]], device=self.device) for ids in (item.ids, item.baseline))
        with torch.no_grad():
            explained = self.score_of(item, inputs)
        by = attributor(explained.score)
        if item.asked.method == INTEGRATED_GRADIENTS:
            attribution = by.integrated_gradients(
                inputs, baseline, item.asked.n_steps, item.asked.refine, layer=self.embeddings
            )
        else:
            attribution = by.ablation(inputs, baseline)
        return TextAttribution(attribution, explained, by.runs)

    def encode(self, item: TextQuestion, output: TextAttribution, media_type: str) -> Response:
        label, attribution = self.labels[output.explained.index], output.attribution
        body = {
            **described(item.asked, attribution, label, output.explained.index, output.runs),
            **output.explained.additions,
            "attributions": weighted(item.tokens, attribution.values.flatten().tolist()),
        }
        return Response(to_json(body | item.truncation_info()), classes=[label])
