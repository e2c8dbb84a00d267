"""Converts a call to a message of TorchServe's gRPC service, and the response to an answer."""

from __future__ import annotations

from collections.abc import Iterable

from client.answer import REQUEST_ID, VERSION_HEADER, Answer, answer_in, error_in
from client.call import Call
from client.payload import encode, texts
from client.server import Server
from client.stubs.inference_pb2 import PredictionsRequest
from client.tracing import context

STREAMS = b"StreamPredictions"
Metadata = Iterable[tuple[str, str | bytes]]


def rpc_request(call: Call, server: Server, streams: bool = False) -> PredictionsRequest:
    """streams: request the answer in pieces. Raises ValueError for a payload or parameter that cannot be sent.

    Without an edge to read the call's metadata, the trace is sent as entries, because TorchServe forwards nothing else.
    """
    body, media_type = encode(call.payload, call.content_type)
    entries = {"body": body, "content-type": media_type.encode()}
    if call.accept:
        entries["accept"] = call.accept.encode()
    entries |= {name: value.encode() for name, value in texts(call.parameters).items()}
    if streams:
        entries["stream"] = STREAMS  # TorchServe does not tell the handler which method was called
    if server.ca_file is None:
        entries |= {name: value.encode() for name, value in context().items()}
    return PredictionsRequest(model_name=call.served_model, model_version=call.version or "", input=entries)


def metadata(bearer: str | None) -> list[tuple[str, str]]:
    """The metadata of a call: the key, and the caller's trace."""
    return [*([("authorization", bearer)] if bearer else []), *context().items()]


def rpc_answer(body: bytes, received: Metadata = ()) -> Answer:
    """The answer in a response. Raises the error if it is one. received: the initial metadata."""
    names = dict(received)
    request_id = str(names.get(REQUEST_ID, ""))
    error = error_in(body)
    if error:
        error.request_id = request_id
        raise error
    return answer_in(body, str(names.get(VERSION_HEADER, "")), request_id)
