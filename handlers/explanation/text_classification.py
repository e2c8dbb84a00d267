"""Explains a class of a text."""

from __future__ import annotations

from torch import Tensor

from handlers.explanation.texts import TextExplainer, TextQuestion, TextScore
from handlers.text.text_classification import TextClassification


class TextClassificationExplainer(TextExplainer[TextClassification]):
    """A class's score is its logit."""

    task_class = TextClassification

    def score_of(self, item: TextQuestion, inputs: Tensor) -> TextScore:
        index = item.asked.target
        if index is None:
            index = int(self.encoder(inputs)[0][0].argmax())
        return TextScore(index, lambda tokens: self.encoder(tokens)[0][:, index], {})
