"""A batch of requests on its way through a handler: what each asked for, and what has become of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from handlers.errors import RequestError
from handlers.protocol.openai.call import path_of
from handlers.protocol.payload import Request
from handlers.protocol.request import lower_names, on_kserve_path
from handlers.protocol.response import JSON, Response, error_response
from handlers.torchserve.metrics import StageTimer
from handlers.torchserve.response_stream import ResponseStream

if TYPE_CHECKING:
    from handlers.tracing.request_trace import RequestTrace

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass
class RequestState(Generic[Item, Output]):
    """One request of a batch: what was asked, its items and outputs, or the error it is answered with.

    headers: names in lower case. describe, explain: the model card or an explanation was asked for instead of a
    prediction. media_type: negotiated, of the response. trace: where requests are traced. answers: to each item.
    """

    headers: Mapping[str, Any]
    describe: bool = False
    explain: bool = False
    request: Request | None = None
    items: list[Item] = field(default_factory=list)
    media_type: str = JSON
    outputs: Sequence[Output | RequestError] = ()
    error: RequestError | None = None
    trace: RequestTrace | None = None
    answers: Sequence[Response] = ()

    @classmethod
    def start(cls, row: Mapping[str, Any], headers: Mapping[str, Any]) -> RequestState[Item, Output]:
        """Of a request that is yet to be parsed; row, headers: as TorchServe hands them over."""
        describe = headers.get("describe") == "True" and not row  # as TorchServe's management sends it
        return cls(lower_names(headers), describe, headers.get("explain") == "True" and not describe)

    @property
    def id(self) -> str:
        """The caller's or the edge's X-Request-Id as the log may hold it, "-" where there is none: gRPC forwards none.

        A header is whatever its sender wrote.
        """
        found = str(self.headers.get("x-request-id", ""))
        return found[:64] if found.isascii() and found.isprintable() and found else "-"

    @property
    def openai(self) -> str:
        """The path of OpenAI's API that the request came to, "" for another."""
        return path_of(self.headers)

    def refused(self, error: RequestError) -> Response:
        """The error in the form of the request's dialect."""
        if self.openai:
            from handlers.protocol.openai.response import failed  # a worker starts sooner without it

            return failed(error, self.request.call if self.request else None)
        return error_response(error, on_kserve_path(self.headers))

    @property
    def to_predict(self) -> Sequence[Item]:
        return () if self.explain or self.error else self.items


@dataclass
class Batch(Generic[Item, Output]):
    """The requests that `preprocess`, `inference` and `postprocess` hand on."""

    states: list[RequestState[Item, Output]]
    streams: list[ResponseStream]
    stages: StageTimer
