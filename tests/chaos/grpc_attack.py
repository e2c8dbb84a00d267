"""Hostile messages over gRPC: any input map to every call, messages that are not ones, streams that do not fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from hypothesis import strategies as st

from client import Server
from client.answer import error_in
from client.rpc_errors import from_rpc
from client.stubs.inference_pb2 import PredictionResponse, PredictionsRequest
from client.wire.rpc_options import OPTIONS
from client.wire.rpc_request import metadata
from handlers.protocol.response import to_json
from tests.chaos.inputs import json_bodies
from tests.chaos.inputs.bodies import for_model
from tests.chaos.inputs.mutations import mutated
from tests.chaos.outcome import Outcome
from tests.chaos.rest_attack import TYPES

Draw = Callable[[st.SearchStrategy[Any]], Any]
SERVICE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/"
VALUES = (b"1", b"-1", b"nan", b"true", b"StreamPredictions", b"\xff\xfe", b"", b"9" * 400, b"[1]")
GRACE = 1.0  # seconds beyond the deadline for gRPC to say that it has passed
CHANNELS = 4


@dataclass(frozen=True)
class Call:
    """kind: how it was made, for the report. messages: as they go over the wire; several to StreamPredictions2.

    readable: whether the server can read the message, so that an error has the documented form.
    """

    model: str
    kind: str
    method: str
    messages: tuple[bytes, ...]
    readable: bool = True


class Caller:
    """Channels to one server, taken in turn."""

    def __init__(self, server: Server, key: str) -> None:
        self.metadata = metadata(f"Bearer {key}")
        # Each its own connection; channels with the same options would share one.
        apart = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        trusted = server.ca_file.read_bytes() if server.ca_file else None
        self.channels = [
            grpc.secure_channel(server.grpc, grpc.ssl_channel_credentials(trusted), apart)
            if trusted
            else grpc.insecure_channel(server.grpc, apart)
            for _ in range(CHANNELS)
        ]
        self.turn = 0

    def close(self) -> None:
        for channel in self.channels:
            channel.close()

    def send(self, call: Call, deadline: float) -> Outcome:
        """The last answer of the call; deadline: seconds."""
        self.turn += 1
        channel, path = self.channels[self.turn % CHANNELS], SERVICE + call.method
        sent: dict[str, Any] = {"timeout": deadline + GRACE, "metadata": self.metadata}
        started = time.monotonic()
        body = b""
        try:
            if call.method == "StreamPredictions2":
                answers = channel.stream_stream(path)(iter(call.messages), **sent)
            elif call.method == "StreamPredictions":
                answers = channel.unary_stream(path)(call.messages[0], **sent)
            else:
                answers = [channel.unary_unary(path)(call.messages[0], **sent)]
            for answer in answers:
                body = answer
        except grpc.RpcError as error:
            seconds = time.monotonic() - started
            if not call.readable and error.code() is grpc.StatusCode.UNKNOWN and not error.details():
                return Outcome(0, seconds)  # how TorchServe's gRPC library refuses what is not a message
            known = from_rpc(error, deadline)
            value = {"code": known.code, "type": known.type, "message": known.message}
            return Outcome(known.code, seconds, to_json(value), hung=seconds > deadline)
        return outcome_of(body, time.monotonic() - started)

    def leave(self, call: Call, seconds: float) -> Outcome:
        """Cancel the call after so long, if there is no answer yet."""
        channel, started = self.channels[0], time.monotonic()
        if call.method == "StreamPredictions":
            asked: Any = channel.unary_stream(SERVICE + call.method)(call.messages[0], metadata=self.metadata)
        else:
            asked = channel.unary_unary(SERVICE + call.method).future(call.messages[0], metadata=self.metadata)
        time.sleep(seconds)
        answered = asked.done()
        asked.cancel()
        if not answered:
            return Outcome(0, time.monotonic() - started, left=True)
        code = 200 if asked.code() is grpc.StatusCode.OK else from_rpc(asked, seconds).code
        return Outcome(code, time.monotonic() - started)


def outcome_of(message: bytes, seconds: float) -> Outcome:
    """Of a PredictionResponse as it came, in which a model's own error may stand."""
    body = PredictionResponse.FromString(message).prediction
    error = error_in(body)
    return Outcome(error.code if error else 200, seconds, body)


@st.composite
def one_call(draw: Draw, model: str) -> Call:
    body = draw(for_model(model))
    entries = {draw(st.sampled_from(("body", "body", "body", "data", "image", "text", "", "input"))): body.data}
    if draw(st.booleans()):
        entries["content-type"] = draw(st.sampled_from((body.content_type, body.content_type, *TYPES))).encode()
    names = st.sampled_from((*json_bodies.PARAMETERS, "accept", "describe", "explain", "context", "x" * 3000, "é"))
    entries |= draw(st.dictionaries(names, st.sampled_from(VALUES), max_size=3))
    name = draw(st.sampled_from((*[model] * 20, "nothing", "", "../x", "x" * 5000)))
    version = draw(st.sampled_from((*[""] * 10, "1.0", "9", "\u0000")))
    message = PredictionsRequest(model_name=name, model_version=version, input=entries).SerializeToString()
    method = draw(st.sampled_from(("Predictions", "Predictions", "Predictions", "StreamPredictions")))
    if draw(st.integers(0, 9)):
        return Call(model, body.kind, method, (message,))
    broken = draw(mutated([message[:4096]]))
    return Call(model, "broken message", draw(st.sampled_from((method, "Nothing"))), (broken,), readable=False)


@st.composite
def two_streams(draw: Draw, model: str, others: Sequence[str]) -> Call:
    """StreamPredictions2 takes several messages, of one sequence and one model; these are of two."""
    entries = {"body": b'{"data": [0.1, 0.2, 0.3, 0.4]}', "content-type": b"application/json"}
    sequences = [draw(st.none() | st.sampled_from(("a", "b", ""))) for _ in range(draw(st.integers(1, 4)))]
    messages = [
        PredictionsRequest(model_name=draw(st.sampled_from((model, *others))), input=entries, sequence_id=sequence)
        for sequence in sequences
    ]
    return Call(model, "two sequences", "StreamPredictions2", tuple(m.SerializeToString() for m in messages), False)


def strategy(models: Sequence[str]) -> st.SearchStrategy[Call]:
    return st.one_of(*(one_call(model) for model in models))


def streams(models: Sequence[str]) -> st.SearchStrategy[Call]:
    return st.one_of(*(two_streams(model, models) for model in models))
