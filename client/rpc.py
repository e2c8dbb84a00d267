"""Predictions over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self

import grpc

from client.answer import Answer
from client.call import TIMEOUT, Call
from client.credentials import Credentials, KeyName
from client.inference import AsyncInference
from client.many.waiting import WaitingInference
from client.retries import Retries
from client.rpc_errors import from_rpc
from client.server import Server
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from client.wire.rpc_options import OPTIONS
from client.wire.rpc_request import metadata, rpc_answer, rpc_request


class GrpcConnection:
    """A channel to one service of a server, with its keys. Thread-safe; close it, or use `with`."""

    key: KeyName

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        """server: None for the one that `scripts/serve` started. timeout: default for calls, in seconds."""
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
        """Make one authorised unary call; a refused key is renewed once."""
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


class GrpcClient(GrpcConnection, WaitingInference):
    """A client for predictions over gRPC. Thread-safe; close it, or use `with`."""

    key = "inference"

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT, max_retries: int = 0) -> None:
        """Arguments as for RestClient."""
        GrpcConnection.__init__(self, server, timeout=timeout)
        WaitingInference.__init__(self)
        self.max_retries = max_retries
        self._stub = InferenceAPIsServiceStub(self._channel)

    def close(self) -> None:
        self._end_batches()
        super().close()

    def _for_event_loop(self) -> AsyncInference:
        from client.asynchronous.rpc import AsyncGrpcClient

        return AsyncGrpcClient(self.server, timeout=self.timeout)

    def _ask(self, call: Call) -> Answer:
        request = rpc_request(call, self.server)

        def attempt(seconds: float) -> Answer:
            response, made = self._call(self._stub.Predictions.with_call, request, seconds)
            return rpc_answer(response.prediction, made.initial_metadata())

        return Retries.of(call, self).run(attempt)

    def _pieces(self, call: Call) -> Generator[Answer, None, None]:
        request = rpc_request(call, self.server, streams=True)

        def first(seconds: float) -> tuple[Any, Any, float]:
            def attempt(bearer: str | None) -> tuple[Any, Any, float]:
                made = self._stub.StreamPredictions(request, timeout=seconds, metadata=metadata(bearer))
                try:
                    return made, next(made, None), seconds
                except grpc.RpcError as error:
                    raise from_rpc(error, seconds) from None

            return self._credentials.authorised(self.key, attempt)

        made, piece, seconds = Retries.of(call, self).run(first)
        try:
            while piece is not None:
                yield rpc_answer(piece.prediction, made.initial_metadata())
                piece = next(made, None)
        except grpc.RpcError as error:
            raise from_rpc(error, seconds) from None
        finally:
            made.cancel()  # if the caller stops early
