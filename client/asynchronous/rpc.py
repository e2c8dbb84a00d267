"""Predictions over gRPC, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import grpc.aio

from client.answer import Answer
from client.asynchronous.encoding import encoded
from client.call import TIMEOUT, Call
from client.credentials import Credentials
from client.inference import AsyncInference
from client.retries import Retries
from client.rpc_errors import from_rpc
from client.server import Server
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from client.wire.rpc_options import OPTIONS
from client.wire.rpc_request import metadata, rpc_answer, rpc_request


class AsyncGrpcClient(AsyncInference):
    """A client for predictions over gRPC in one event loop; close it, or use `async with`.

    If a call's task is cancelled, so is the call.
    """

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT, max_retries: int = 0) -> None:
        """Arguments as for RestClient."""
        self.server = server or Server.find()
        self.timeout = timeout
        self.max_retries = max_retries
        self._credentials = Credentials(self.server)
        self._channel: grpc.aio.Channel | None = None

    async def close(self) -> None:
        if self._channel:
            await self._channel.close()
            self._channel = None

    def _stub(self) -> InferenceAPIsServiceStub:
        """The stub of the running event loop."""
        if self._channel is None:
            self._channel = channel(self.server)
        return InferenceAPIsServiceStub(self._channel)

    async def _ask(self, call: Call) -> Answer:
        request = await encoded(call.payload, lambda: rpc_request(call, self.server))
        stub = self._stub()

        async def attempt(seconds: float) -> Answer:
            async def authorised(bearer: str | None) -> Answer:
                made = stub.Predictions(request, timeout=seconds, metadata=metadata(bearer))
                try:
                    response = await made
                    return rpc_answer(response.prediction, await made.initial_metadata())
                except grpc.aio.AioRpcError as error:
                    raise from_rpc(error, seconds) from None

            return await self._credentials.authorised_async("inference", authorised)

        return await Retries.of(call, self).run_async(attempt)

    async def _pieces(self, call: Call) -> AsyncGenerator[Answer, None]:
        request = await encoded(call.payload, lambda: rpc_request(call, self.server, streams=True))
        stub = self._stub()

        async def first(seconds: float) -> tuple[Any, Any, float]:
            async def authorised(bearer: str | None) -> tuple[Any, Any, float]:
                made = stub.StreamPredictions(request, timeout=seconds, metadata=metadata(bearer))
                try:
                    return made, await made.read(), seconds
                except grpc.aio.AioRpcError as error:
                    raise from_rpc(error, seconds) from None

            return await self._credentials.authorised_async("inference", authorised)

        made, piece, seconds = await Retries.of(call, self).run_async(first)
        try:
            while piece is not grpc.aio.EOF:
                yield rpc_answer(piece.prediction, await made.initial_metadata())
                piece = await made.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, seconds) from None
        finally:
            made.cancel()  # if the caller stops early


def channel(server: Server) -> grpc.aio.Channel:
    if server.ca_file is None:
        return grpc.aio.insecure_channel(server.grpc, options=OPTIONS)
    trusted = grpc.ssl_channel_credentials(server.ca_file.read_bytes())
    return grpc.aio.secure_channel(server.grpc, trusted, options=OPTIONS)
