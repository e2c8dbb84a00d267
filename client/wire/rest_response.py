"""Converts an HTTP response to an answer, its pieces, or an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from client.answer import REQUEST_ID, VERSION_HEADER, Answer, error_in
from client.errors import ClientError, error_for, over_request_size

LINES = "application/x-ndjson"  # one JSON object per line


@dataclass(frozen=True)
class RestResponse:
    """The head of a response. headers: with case-insensitive names. reason: the phrase after the status."""

    status: int
    headers: Mapping[str, str]
    reason: str = ""

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str:
        return self.headers.get(REQUEST_ID, "")

    @property
    def in_lines(self) -> bool:
        """Whether the body is a streamed answer."""
        return self.status < 300 and self.media_type == LINES

    def answer(self, body: bytes) -> Answer:
        """The answer in a complete body. Raises the error if it is one."""
        if self.status >= 300:
            raise self.error(body)
        return Answer(self.media_type, body, self.headers.get(VERSION_HEADER, ""), self.request_id)

    def error(self, body: bytes) -> ClientError:
        """The exception for an error answer; without TorchServe's JSON body the status decides."""
        error = self._described(body)
        error.request_id, error.retry_after = self.request_id, seconds_of(self.headers.get("Retry-After", ""))
        return error

    def _described(self, body: bytes) -> ClientError:
        try:
            value = json.loads(body)
            if isinstance(value.get("error"), str):  # of KServe's protocols
                return error_for(self.status, "", value["error"])
            return error_for(self.status, str(value["type"]), str(value["message"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            text = body[:200].decode("utf-8", "replace").strip()
            if self.status == 413 and not text:
                return over_request_size()
            return error_for(self.status, "", text or self.reason or "the server gave no reason")


class Lines:
    """Parses the pieces of a line-based answer from its bytes as they arrive."""

    def __init__(self, response: RestResponse) -> None:
        self._response = response
        self._rest = b""

    def add(self, chunk: bytes) -> Iterator[Answer]:
        """The pieces that the chunk completes. Raises an error among them."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return map(self._piece, whole)

    def end(self) -> Iterator[Answer]:
        """The last piece, if no line break follows it."""
        return map(self._piece, [self._rest] if self._rest else [])

    def _piece(self, line: bytes) -> Answer:
        error = error_in(line)
        if error:
            error.request_id = self._response.request_id
            raise error
        return Answer("application/json", line, request_id=self._response.request_id)


def seconds_of(retry_after: str) -> float | None:
    """Retry-After (RFC 9110, 10.2.3) in seconds; None without one, or for a date, which the edge never sends."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
