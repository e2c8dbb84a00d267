"""Pieces of an answer, sent to their caller while the batch is still under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The response header by which TorchServe knows whether more is to come.
MORE = "ts_stream_next"


class Pieces:
    """The way out for one request of a batch; TorchServe keeps the connection open until the batch's own answer."""

    def __init__(self, context: Any, index: int, headers: Mapping[str, Any]) -> None:
        """headers: of the request, as TorchServe hands them over."""
        self.context = context
        self.index = index
        # HTTP brings at least a Content-Length; of a gRPC call there is a mapping for each entry, and nothing else.
        self.over_rpc = all(isinstance(value, Mapping) for value in headers.values())

    def send(self, body: bytes, content_type: str) -> None:
        """One piece now. content_type: of the whole answer; it goes out with the first piece."""
        from ts.handler_utils.utils import send_intermediate_predict_response

        self.context.set_response_content_type(self.index, content_type)
        identifiers = {self.index: self.context.request_ids[self.index]}
        send_intermediate_predict_response({self.index: body}, identifiers, "Prediction success", 200, self.context)

    def close(self) -> None:
        """The batch's answer is the last piece.

        A gRPC StreamPredictions whose answer does not say so takes TorchServe's thread for the worker down, and the
        worker with it; nothing tells such a call from a plain Predictions, which does not look at the header.
        """
        if self.over_rpc:
            self.context.set_response_header(self.index, MORE, "false")
