"""Answers in pieces: how a request asks for them, and their media type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from handlers.errors import InvalidInput
from handlers.protocol.openai.call import EVENTS
from handlers.protocol.openai.response import piece
from handlers.protocol.payload import Request
from handlers.protocol.response import to_json

# One JSON object a line, each a piece of the answer.
LINES = "application/x-ndjson"
# The value of `stream` that marks a streaming call over gRPC: TorchServe does not say which of its methods was
# called, and a second piece for the other one would take the worker down.
METHOD = "StreamPredictions"


def wants_pieces(value: str, request: Request, over_rpc: bool, entry: str) -> bool:
    """Whether a request asks for its answer in pieces; InvalidInput where it cannot have it so.

    value: the parameter `stream`, "false" where it was not sent. entry: the same as the call's own entry, see
    `ResponseStream`.
    """
    wanted = value == entry == METHOD if over_rpc else value.lower() == "true"
    if not wanted and value.lower() != "false":
        ask = f"{METHOD}, as an entry of a call of that method" if over_rpc else "true"
        raise InvalidInput(f"stream: got {value[:40]!r}, wanted false or {ask}")
    if wanted and request.dialect in ("v1", "v2"):
        raise InvalidInput("stream: a KServe request is answered whole")
    return wanted


class Stream(Protocol):
    def send(self, body: bytes, content_type: str) -> None: ...


def pieces(request: Request, index: int, stream: Stream) -> Callable[[str], None]:
    """Sends new text of one answer, in the request's dialect. index: of the answer among those to the request."""
    call = request.call
    if call is None:
        return lambda text: stream.send(to_json({"text": text}) + b"\n", LINES)
    return lambda text: stream.send(piece(call, index, text), EVENTS)
