"""Predictions over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from client.answer import VERSION_HEADER, Answer, answer_in, error_in
from client.credentials import Credentials, KeyName
from client.explanations import explainer_of
from client.payload import Parameters, Payload, encode, texts
from client.rest import TIMEOUT
from client.rpc_errors import from_rpc
from client.server import Server
from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub

METHOD = b"StreamPredictions"
MESSAGE_BYTES = 64 << 20
OPTIONS = [
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # TorchServe's gRPC library closes a connection that is pinged more often than every 5 minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A server that restarts is back within seconds; the default waits up to two minutes before it tries again.
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment must not see the server's key
]


class GrpcConnection:
    """A channel to one service of a server, with its keys. May be shared between threads; close it, or use `with`."""

    key: KeyName

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        """server: the one `scripts/serve` started where None. timeout: of a call that names none, in seconds."""
        self.server = server or Server.find()
        self.timeout = timeout
        self._credentials = Credentials(self.server)
        address = self.server.grpc if self.key == "inference" else self.server.grpc_management
        self._channel = channel(address, self.server)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., Any], request: Any, timeout: float | None) -> Any:
        """One authorised unary call; a refused key is renewed once."""
        seconds = timeout or self.timeout

        def attempt(bearer: str | None) -> Any:
            try:
                return method(request, timeout=seconds, metadata=metadata(bearer))
            except grpc.RpcError as error:
                raise from_rpc(error, seconds) from None

        return self._credentials.authorised(self.key, attempt)


def channel(address: str, server: Server) -> grpc.Channel:
    if server.ca_file is None:
        return grpc.insecure_channel(address, options=OPTIONS)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(server.ca_file.read_bytes()), options=OPTIONS)


def metadata(bearer: str | None) -> list[tuple[str, str]]:
    return [("authorization", bearer)] if bearer else []


class GrpcClient(GrpcConnection):
    """A server's models, asked over gRPC; the same calls as RestClient, and streams."""

    key = "inference"

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        super().__init__(server, timeout=timeout)
        self._stub = InferenceAPIsServiceStub(self._channel)

    def predict(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One answer of a model; arguments and errors are those of RestClient.predict."""
        request = request_of(model, payload, content_type, accept, version, parameters)
        response, call = self._call(self._stub.Predictions.with_call, request, timeout)
        return answer_or_error(response.prediction, dict(call.initial_metadata()).get(VERSION_HEADER, ""))

    def explain(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The explanation of an answer of a model; arguments and errors are those of RestClient.explain.

        TorchServe's gRPC has no call for explanations: it is a prediction of the model that they are served as.
        """
        return self.predict(
            explainer_of(model),
            payload,
            content_type=content_type,
            accept=accept,
            version=version,
            parameters=parameters,
            timeout=timeout,
        )

    def stream(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Iterator[Answer]:
        """The pieces of an answer as the model's handler sends them; arguments and errors are those of `predict`.

        timeout: for the whole stream. A model that does not stream gives its answer as the only piece.
        """
        request = request_of(model, payload, content_type, accept, version, parameters)
        request.input["stream"] = METHOD  # TorchServe does not tell a handler which method was called
        seconds = timeout or self.timeout

        def first(bearer: str | None) -> tuple[Any, Any]:
            call = self._stub.StreamPredictions(request, timeout=seconds, metadata=metadata(bearer))
            try:
                return call, next(call, None)
            except grpc.RpcError as error:
                raise from_rpc(error, seconds) from None

        call, piece = self._credentials.authorised(self.key, first)
        try:
            while piece is not None:
                yield answer_or_error(piece.prediction)
                piece = next(call, None)
        except grpc.RpcError as error:
            raise from_rpc(error, seconds) from None
        finally:
            call.cancel()  # where the caller stops before the end


def request_of(
    model: str,
    payload: Payload,
    content_type: str | None,
    accept: str | None,
    version: str | None,
    parameters: Parameters | None,
) -> PredictionsRequest:
    body, media_type = encode(payload, content_type)
    entries = {"body": body, "content-type": media_type.encode()}
    if accept:
        entries["accept"] = accept.encode()
    entries |= {name: value.encode() for name, value in texts(parameters).items()}
    return PredictionsRequest(model_name=model, model_version=version or "", input=entries)


def answer_or_error(body: bytes, version: str = "") -> Answer:
    error = error_in(body)
    if error:
        raise error
    return answer_in(body, version)
