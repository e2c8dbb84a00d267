"""A response: parts sent to the caller while the batch is still being computed, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any

from ts.protocol.otf_message_handler import create_predict_response

from handlers.errors import Unavailable
from handlers.protocol.response import Response
from handlers.torchserve.progress import PROGRESS

# The response header by which TorchServe knows whether more is to come.
MORE = "ts_stream_next"


class ResponseStream:
    """Sends parts of one request's response; TorchServe keeps the connection open until the batch's own responses."""

    def __init__(self, context: Any, index: int, headers: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """headers, row: of the request, as TorchServe hands them over."""
        self.context, self.index, self.headers, self.row = context, index, headers, row
        self.first_piece: int | None = None  # when it was sent, in ns since 1970

    @property
    def over_rpc(self) -> bool:
        """HTTP brings at least a Content-Length; of a gRPC call there is a mapping for each entry, and nothing else."""
        return all(isinstance(value, Mapping) for value in self.headers.values())

    @property
    def entry(self) -> str:
        """The call's own entry: an edge checks it against the method, which it cannot for a key of a JSON body."""
        entry = self.row.get("stream")  # a list where a form has two of them, which the parser refuses
        return bytes(entry).decode(errors="replace") if isinstance(entry, bytes | bytearray) else ""

    def send(self, body: bytes, content_type: str) -> None:
        """Send one part now. content_type: the whole response's; it is sent with the first part."""
        self.context.set_response_content_type(self.index, content_type)
        PROGRESS.sent(self.index)
        if self.first_piece is None:
            self.first_piece = time_ns()
        identifiers = {self.index: self.context.request_ids[self.index]}
        frame = create_predict_response(
            {self.index: body}, identifiers, "Prediction success", 200, self.context, ts_stream_next=True
        )
        PROGRESS.send(self.context.cl_socket, frame, last=False)

    def end(self, last: Response, timing: str) -> None:
        """Say all but the body of the batch's own response, and mark it as the last part.

        Without the mark, a gRPC StreamPredictions call ends TorchServe's thread for the worker, and with it the worker.
        Nothing distinguishes such a call from a plain Predictions call, which ignores the mark.

        timing: the batch's stages, for Server-Timing.
        """
        self.context.set_response_content_type(self.index, last.content_type)
        if self.over_rpc:
            self.context.set_response_header(self.index, MORE, "false")
        else:
            self.context.set_response_header(self.index, "Server-Timing", timing)
        if last.json_length:
            self.context.set_response_header(self.index, "Inference-Header-Content-Length", str(last.json_length))
        if last.location:
            self.context.set_response_header(self.index, "Location", last.location)
        if last.status != 200:
            self.context.set_response_status(last.status, last.phrase, self.index)
            if last.status == Unavailable.code:
                self.context.set_response_header(self.index, "Retry-After", "1")
