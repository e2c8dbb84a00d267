"""A model with a constant answer through our base class, in an archive of its own (benchmarks/constant/)."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.base import Handler
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import Response

ANSWER = b'{"predictions":[]}'


class Constant(Handler[object, bytes]):
    """Takes bytes, bare or as base64 in JSON, as the handlers of images and recordings do."""

    input_type = InputType.MEDIA

    def load(self) -> None:
        """No model."""

    def decode(self, payload: Payload) -> object:
        return payload.data

    def predict(self, items: Sequence[object]) -> Sequence[bytes]:
        return [ANSWER] * len(items)

    def encode(self, item: object, output: bytes, media_type: str) -> Response:
        return Response(output)
