"""Labels that come with a request, as texts for a model, and what was computed of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import orjson
from torch import Tensor

from handlers.errors import InvalidInput, TooLarge, shown

PLACE = "{}"


@dataclass
class LabelSet:
    """tokens: ids of each label's text. features: (labels, D), of length 1; None until the model has read the texts."""

    labels: tuple[str, ...]
    tokens: list[list[int]]
    features: Tensor | None = None


class LabelSets:
    """The sets that were asked for last, `size` at most. For several threads.

    tokenise: texts → token ids of each; called by one thread at a time. max_tokens: of a text.
    """

    def __init__(self, tokenise: Callable[[Sequence[str]], list[list[int]]], max_tokens: int, size: int) -> None:
        self.tokenise = tokenise
        self.max_tokens = max_tokens
        self.size = size
        self.lock = Lock()
        self.known: OrderedDict[tuple[str, tuple[str, ...]], LabelSet] = OrderedDict()

    def get(self, labels: tuple[str, ...], template: str) -> LabelSet:
        """The set of the labels, each put into the template. TooLarge for a text that the model cannot read whole."""
        key = template, labels
        with self.lock:
            if key in self.known:
                self.known.move_to_end(key)
                return self.known[key]
            tokens = self.tokenise([template.replace(PLACE, label) for label in labels])
            for index, ids in enumerate(tokens):
                if len(ids) > self.max_tokens:
                    raise TooLarge(
                        f"labels[{index}] has {len(ids)} tokens in its template; the limit is {self.max_tokens}"
                    )
            self.known[key] = LabelSet(labels, tokens)
            if len(self.known) > self.size:
                self.known.popitem(last=False)
            return self.known[key]


def read_labels(value: Any, max_labels: int, max_characters: int) -> tuple[str, ...]:
    """The labels that a request names: a JSON list, or a text that is one or has commas between them.

    Raises InvalidInput and TooLarge.
    """
    if isinstance(value, str):
        value = from_json(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, list):
        raise InvalidInput(f"labels: got {shown(value)}, wanted a list of texts")
    if not value:
        raise InvalidInput("labels: the list is empty; wanted a text for each class")
    if len(value) > max_labels:
        raise TooLarge(f"labels: got {len(value)}, the limit is {max_labels}")
    labels = tuple(read_text(label, f"labels[{index}]", max_characters) for index, label in enumerate(value))
    if len(set(labels)) < len(labels):
        twice = next(label for index, label in enumerate(labels) if label in labels[:index])
        raise InvalidInput(f"labels: {shown(twice)} is there twice")
    return labels


def from_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"labels: not a JSON list: {error}") from None


def read_text(value: Any, name: str, max_characters: int) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name}: got {shown(value)}, wanted text")
    if len(value) > max_characters:
        raise TooLarge(f"{name} has {len(value)} characters, the limit is {max_characters}")
    text = value.strip()
    if not text:
        raise InvalidInput(f"{name} is empty")
    return text


def read_template(value: Any, max_characters: int) -> str:
    """A text with one place for a label; other braces stand for themselves."""
    template = read_text(value, "template", max_characters)
    if template.count(PLACE) != 1:
        raise InvalidInput(f"template: got {shown(template)}, wanted a text with {PLACE} once, where the label goes")
    return template
