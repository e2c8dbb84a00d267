"""Management over gRPC."""

from __future__ import annotations

from client.management import LOADING, PAGE, Management
from client.rest import TIMEOUT
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
    """TorchServe's gRPC takes 0 for "not given": 0 workers are a ValueError here, and need RestManagement.

    It sends no reason for a refused `unregister` or `register` of a version that is there: a bare ServerError.
    """

    key = "management"

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        super().__init__(server, timeout=timeout)
        self._stub = ManagementAPIsServiceStub(self._channel)

    def register(
        self,
        archive: str,
        *,
        name: str | None = None,
        initial_workers: int | None = None,
        batch_size: int | None = None,
        max_batch_delay: int | None = None,
        synchronous: bool = True,
        timeout: float = LOADING,
    ) -> str:
        request = RegisterModelRequest(
            url=archive,
            model_name=name or "",
            initial_workers=at_least_one("initial_workers", initial_workers),
            batch_size=at_least_one("batch_size", batch_size),
            max_batch_delay=at_least_one("max_batch_delay", max_batch_delay),
            synchronous=synchronous,
        )
        return str(self._call(self._stub.RegisterModel, request, timeout).msg)

    def scale(
        self,
        model: str,
        min_workers: int,
        max_workers: int | None = None,
        *,
        version: str | None = None,
        synchronous: bool = True,
        timeout: float = LOADING,
    ) -> str:
        request = ScaleWorkerRequest(
            model_name=model,
            model_version=version or "",
            min_worker=at_least_one("min_workers", min_workers),
            max_worker=at_least_one("max_workers", max_workers),
            synchronous=synchronous,
        )
        return str(self._call(self._stub.ScaleWorker, request, timeout).msg)

    def set_default(self, model: str, version: str, *, timeout: float | None = None) -> str:
        request = SetDefaultRequest(model_name=model, model_version=version)
        return str(self._call(self._stub.SetDefault, request, timeout).msg)

    def unregister(self, model: str, version: str | None = None, *, timeout: float | None = None) -> str:
        request = UnregisterModelRequest(model_name=model, model_version=version or "")
        return str(self._call(self._stub.UnregisterModel, request, timeout).msg)

    def _page(self, start: int, timeout: float | None) -> str:
        request = ListModelsRequest(limit=PAGE, next_page_token=start)
        return str(self._call(self._stub.ListModels, request, timeout).msg)

    def _describe(self, model: str, version: str | None, card: bool, timeout: float | None) -> str:
        request = DescribeModelRequest(model_name=model, model_version=version or "", customized=card)
        return str(self._call(self._stub.DescribeModel, request, timeout).msg)


def at_least_one(name: str, value: int | None) -> int:
    """The value as it is sent, 0 for None."""
    if value is not None and value < 1:
        raise ValueError(f"{name}: got {value}, wanted 1 or more; TorchServe's gRPC reads 0 as not given")
    return value or 0
