"""Management over gRPC."""

from __future__ import annotations

from client.call import TIMEOUT
from client.management import PAGE, Management, Registration, Scaling
from client.rpc import GrpcConnection
from client.server import Server
from client.stubs.management_pb2 import (
    DescribeModelRequest,
    ListModelsRequest,
    RegisterModelRequest,
    ScaleWorkerRequest,
    SetDefaultRequest,
    UnregisterModelRequest,
)
from client.stubs.management_pb2_grpc import ManagementAPIsServiceStub


class GrpcManagement(GrpcConnection, Management):
    """TorchServe's gRPC reads 0 as "not given", so 0 workers raise a ValueError here and need RestManagement.

    It gives no reason for refusing `unregister`, or `register` of an existing version: these raise a plain ServerError.
    """

    key = "management"

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        super().__init__(server, timeout=timeout)
        self._stub = ManagementAPIsServiceStub(self._channel)

    def _register(self, wanted: Registration, timeout: float) -> str:
        request = RegisterModelRequest(
            url=wanted.archive,
            model_name=wanted.name or "",
            initial_workers=at_least_one("initial_workers", wanted.initial_workers),
            batch_size=at_least_one("batch_size", wanted.batch_size),
            max_batch_delay=at_least_one("max_batch_delay", wanted.max_batch_delay),
            synchronous=wanted.synchronous,
        )
        return str(self._call(self._stub.RegisterModel, request, timeout).msg)

    def _scale(self, wanted: Scaling, timeout: float) -> str:
        request = ScaleWorkerRequest(
            model_name=wanted.model,
            model_version=wanted.version or "",
            min_worker=at_least_one("min_workers", wanted.min_workers),
            max_worker=at_least_one("max_workers", wanted.max_workers),
            synchronous=wanted.synchronous,
        )
        return str(self._call(self._stub.ScaleWorker, request, timeout).msg)

    def _set_default(self, model: str, version: str, timeout: float | None) -> str:
        request = SetDefaultRequest(model_name=model, model_version=version)
        return str(self._call(self._stub.SetDefault, request, timeout).msg)

    def _unregister(self, model: str, version: str | None, timeout: float | None) -> str:
        request = UnregisterModelRequest(model_name=model, model_version=version or "")
        return str(self._call(self._stub.UnregisterModel, request, timeout).msg)

    def _page(self, start: int, timeout: float | None) -> str:
        request = ListModelsRequest(limit=PAGE, next_page_token=start)
        return str(self._call(self._stub.ListModels, request, timeout).msg)

    def _describe(self, model: str, version: str | None, card: bool, timeout: float | None) -> str:
        request = DescribeModelRequest(model_name=model, model_version=version or "", customized=card)
        return str(self._call(self._stub.DescribeModel, request, timeout).msg)


def at_least_one(name: str, value: int | None) -> int:
    """The value to send, 0 for None. Raises ValueError below 1."""
    if value is not None and value < 1:
        raise ValueError(f"{name}: got {value}, wanted 1 or more; TorchServe's gRPC reads 0 as not given")
    return value or 0
