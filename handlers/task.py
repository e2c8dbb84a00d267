"""The interface of one task: its kind of input, three methods to define, and some that a task may override."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic
from warnings import warn

from handlers.batching.request_state import Item, Output
from handlers.drift.statistics import of_numbers
from handlers.errors import NotOffered
from handlers.protocol.payload import InputType, Payload, Request
from handlers.protocol.response import JSON, Response
from handlers.torchserve.response_stream import ResponseStream


class Task(ABC, Generic[Item, Output]):
    """One task of a model, as `handlers.base.Handler` serves it.

    It sets `input_type` and defines three methods: `decode` turns a payload into an item, or raises a RequestError if
    the payload is bad; `predict` turns items of any sizes into as many outputs, in order; `encode` turns an output into
    an answer.
    """

    input_type: ClassVar[InputType]
    # Media types that `encode` offers, the default first; a request that accepts none gets 406 before any prediction.
    media_types: ClassVar[tuple[str, ...]] = (JSON,)
    # Paths of OpenAI's API that the task answers.
    openai: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            warn(f"{cls.__name__}.kind is now input_type", FutureWarning, stacklevel=2)
            cls.input_type = cls.__dict__["kind"]

    def measure(self, payload: Payload, item: Item) -> Mapping[str, float]:
        """Statistics of one input as sent, which change when its source does."""
        if self.input_type is InputType.TENSOR:
            return of_numbers(payload.data)
        return {}

    @abstractmethod
    def decode(self, payload: Payload) -> Item:
        """Turn one payload into one item. Raises RequestError if that is not possible."""

    @abstractmethod
    def predict(self, items: Sequence[Item]) -> Sequence[Output]:
        """One output per item, in order, each the same as if its item were alone."""

    @abstractmethod
    def encode(self, item: Item, output: Output, media_type: str) -> Response:
        """Turn one output into an answer. media_type: the one of `media_types` that the sender ranks highest."""

    def explain(self, item: Item) -> Response:
        """Explain the model's answer to one item; tasks that offer explanations override this."""
        raise NotOffered("this model offers no explanations")

    def attach_stream(self, request: Request, items: Sequence[Item], stream: ResponseStream) -> None:
        """Attach one request's items to its stream; for tasks that send their answers piece by piece."""

    def tokens_read(self, item: Item) -> int:
        """Number of tokens in one input, for tasks that count them; 0 otherwise."""
        return 0

    def offers(self, items: Sequence[Item]) -> tuple[str, ...]:
        """The media types in which these items can be answered."""
        return self.media_types
