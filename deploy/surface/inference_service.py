"""KServe's v2 protocol over gRPC, beside TorchServe: a call of ModelInfer becomes one of its Predictions.

TorchServe has a service of this name, in a package of its own where no client of the protocol looks for it, and it
takes no raw tensors.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import NoReturn

import grpc
from grpc import StatusCode, aio
from grpc.aio import ServicerContext

from client.answer import error_in
from client.errors import BadRequest, ClientError, NotOffered, Unavailable, Unreachable
from client.rpc_errors import from_rpc
from client.stubs import open_inference_pb2 as messages
from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from client.stubs.open_inference_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from client.wire.rpc_options import OPTIONS
from deploy.edge.limits import RETRY_AFTER
from deploy.surface import metadata
from deploy.surface.messages import to_body, to_response
from deploy.surface.models import Models

TRACE = ("traceparent", "tracestate", "x-request-start")  # as handlers/protocol/trace_context.py reads them
LONGEST = 75.0  # seconds that a call may take whose caller names no deadline, as at the edge
AT_ONCE = 256  # calls; the next is RESOURCE_EXHAUSTED
# As docker/edge/responses.lua has them.
STATUSES = {
    **dict.fromkeys((400, 406, 415, 422), StatusCode.INVALID_ARGUMENT),
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    405: StatusCode.UNIMPLEMENTED,
    413: StatusCode.OUT_OF_RANGE,
    **dict.fromkeys((429, 431, 507), StatusCode.RESOURCE_EXHAUSTED),
    500: StatusCode.INTERNAL,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}


class InferenceService(GRPCInferenceServiceServicer):
    """torchserve: its own gRPC address. A caller's key goes on to it, and it decides."""

    def __init__(self, models: Models, torchserve: str) -> None:
        self.models = models
        self.channel = aio.insecure_channel(torchserve, options=OPTIONS)
        self.predictions = InferenceAPIsServiceStub(self.channel).Predictions

    async def ServerLive(  # noqa: N802 - the protocol's names
        self, request: messages.ServerLiveRequest, context: ServicerContext
    ) -> messages.ServerLiveResponse:
        return messages.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, request: messages.ServerReadyRequest, context: ServicerContext
    ) -> messages.ServerReadyResponse:
        return messages.ServerReadyResponse(ready=self.models.ready)

    async def ServerMetadata(  # noqa: N802
        self, request: messages.ServerMetadataRequest, context: ServicerContext
    ) -> messages.ServerMetadataResponse:
        return messages.ServerMetadataResponse(**metadata.of_server())

    async def ModelReady(  # noqa: N802
        self, request: messages.ModelReadyRequest, context: ServicerContext
    ) -> messages.ModelReadyResponse:
        try:
            found = self.models.find(request.name, request.version)
        except ClientError as error:
            await end(context, error)
        return messages.ModelReadyResponse(ready=metadata.is_ready(found, self.models))

    async def ModelMetadata(  # noqa: N802
        self, request: messages.ModelMetadataRequest, context: ServicerContext
    ) -> messages.ModelMetadataResponse:
        try:
            found = metadata.of_model(self.models, request.name, request.version)
        except ClientError as error:
            await end(context, error)
        return messages.ModelMetadataResponse(**found)

    async def ModelInfer(  # noqa: N802
        self, request: messages.ModelInferRequest, context: ServicerContext
    ) -> messages.ModelInferResponse:
        try:
            body, length = to_body(request)
        except ValueError as error:
            await end(context, BadRequest(400, "MalformedInput", str(error)))
        seconds = min(LONGEST, context.time_remaining() or LONGEST)
        sent = dict(context.invocation_metadata() or ())
        call = PredictionsRequest(
            model_name=request.model_name,
            model_version=request.model_version,
            input={
                "body": body,
                "inference-header-content-length": str(length).encode(),
                "x-request-deadline": f"{time.time() + seconds:.3f}".encode(),
                **{name: str(sent[name]).encode() for name in TRACE if name in sent},
            },
        )
        keys = [(name, sent[name]) for name in ("authorization",) if name in sent]
        try:
            answer = (await self.predictions(call, timeout=seconds, metadata=keys)).prediction
        except grpc.RpcError as error:
            found = from_rpc(error, seconds)
            if isinstance(found, Unreachable):  # whose own message has its address
                found = Unavailable(503, "Unavailable", "TorchServe does not answer")
            await end(context, found)
        refused = error_in(answer)
        if refused:
            await end(context, refused)
        try:
            return to_response(answer)
        except (ValueError, KeyError, TypeError):  # of a handler that does not know the protocol
            await end(
                context, NotOffered(501, "NotOffered", "this model's handler does not speak KServe's v2 protocol")
            )


async def end(context: ServicerContext, error: ClientError) -> NoReturn:
    """As the status that the error is."""
    again = (("retry-after", RETRY_AFTER),) if error.code == 503 else ()
    await context.abort(STATUSES.get(error.code, StatusCode.UNKNOWN), error.message, again)
    raise AssertionError("abort has returned")


class InferenceServer:
    """The service on a port, in a thread of its own; `stop` ends it."""

    def __init__(self, models: Models, torchserve: str, host: str, port: int) -> None:
        self.models, self.torchserve, self.address = models, torchserve, f"{host}:{port}"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self) -> None:
        """Raises RuntimeError where the port is not to be had."""
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result()

    async def listen(self) -> None:
        # Another process on the port is an error, and does not get half of the calls.
        options = [*OPTIONS, ("grpc.so_reuseport", 0)]
        self.server = aio.server(options=options, maximum_concurrent_rpcs=AT_ONCE)
        self.service = InferenceService(self.models, self.torchserve)
        add_GRPCInferenceServiceServicer_to_server(self.service, self.server)
        self.server.add_insecure_port(self.address)
        await self.server.start()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def end(self) -> None:
        await self.server.stop(None)
        await self.service.channel.close()
