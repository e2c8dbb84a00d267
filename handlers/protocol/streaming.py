"""Answers in pieces: how a request asks for them, and their media type."""

from __future__ import annotations

from handlers.errors import InvalidInput
from handlers.protocol.payload import Request

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
    if wanted and request.dialect != "plain":
        raise InvalidInput("stream: a KServe request is answered whole")
    return wanted
