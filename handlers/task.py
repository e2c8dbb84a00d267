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

    It names its `input_type` and defines three methods: `decode` turns a payload into an item and raises a RequestError
    for a bad one; `predict` turns items, of whatever sizes, into as many outputs, in order; `encode` turns an output
    into an answer.
    """

    input_type: ClassVar[InputType]
    # What `encode` can answer with, the default first; a sender who takes none of them gets 406 before any prediction.
    media_types: ClassVar[tuple[str, ...]] = (JSON,)
    # The paths of OpenAI's API that it answers.
    openai: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            warn(f"{cls.__name__}.kind is now input_type", FutureWarning, stacklevel=2)
            cls.input_type = cls.__dict__["kind"]

    def measure(self, payload: Payload, item: Item) -> Mapping[str, float]:
        """Statistics of one input as it was sent, in which a change of its source shows."""
        if self.input_type is InputType.TENSOR:
            return of_numbers(payload.data)
        return {}

    @abstractmethod
    def decode(self, payload: Payload) -> Item:
        """One payload to one item; RequestError when it cannot be."""

    @abstractmethod
    def predict(self, items: Sequence[Item]) -> Sequence[Output]:
        """As many outputs as items, in their order; each the same as if the item were alone."""

    @abstractmethod
    def encode(self, item: Item, output: Output, media_type: str) -> Response:
        """One output as an answer; media_type: the one of `media_types` that the sender ranks highest."""

    def explain(self, item: Item) -> Response:
        """Why the model answers an item as it does; a task that can say overrides it."""
        raise NotOffered("this model offers no explanations")

    def attach_stream(self, request: Request, items: Sequence[Item], stream: ResponseStream) -> None:
        """For a task that sends its answers piece by piece: gives the items of one request their way out."""

    def tokens_read(self, item: Item) -> int:
        """Tokens of one input, of a task that counts them."""
        return 0

    def offers(self, items: Sequence[Item]) -> tuple[str, ...]:
        """The media types that the answer to these items may have."""
        return self.media_types
