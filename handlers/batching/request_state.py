"""A batch of requests on its way through a handler: what each asked for, and what has become of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from handlers.errors import RequestError
from handlers.protocol.payload import Request
from handlers.protocol.response import JSON
from handlers.torchserve.metrics import StageTimer
from handlers.torchserve.response_stream import ResponseStream

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass
class RequestState(Generic[Item, Output]):
    """One request of a batch: what was asked, its items and outputs, or the error it is answered with.

    describe, explain: the model card or an explanation was asked for instead of a prediction. media_type: negotiated,
    of the response.
    """

    headers: Mapping[str, Any]
    describe: bool = False
    explain: bool = False
    request: Request | None = None
    items: list[Item] = field(default_factory=list)
    media_type: str = JSON
    outputs: Sequence[Output | RequestError] = ()
    error: RequestError | None = None

    @classmethod
    def start(cls, row: Mapping[str, Any], headers: Mapping[str, Any]) -> RequestState[Item, Output]:
        """Of a request that is yet to be parsed; row, headers: as `handlers.protocol.request.parse` takes them."""
        describe = headers.get("describe") == "True" and not row  # as TorchServe's management sends it
        return cls(headers, describe, headers.get("explain") == "True" and not describe)

    @property
    def id(self) -> str:
        """The caller's or the edge's X-Request-Id as the log may hold it, "-" where there is none: gRPC forwards none.

        A header is whatever its sender wrote.
        """
        found = next((str(value) for name, value in self.headers.items() if name.lower() == "x-request-id"), "")
        return found[:64] if found.isascii() and found.isprintable() and found else "-"

    @property
    def to_predict(self) -> Sequence[Item]:
        return () if self.explain or self.error else self.items


@dataclass
class Batch(Generic[Item, Output]):
    """The requests that `preprocess`, `inference` and `postprocess` hand on."""

    states: list[RequestState[Item, Output]]
    streams: list[ResponseStream]
    stages: StageTimer
