"""Errors of one request, each with its HTTP status.

RequestError
├── MalformedInput     400  cannot be read: bad JSON, bad base64, a truncated file, no input at all
├── NotAcceptable      406  the Accept header names nothing this task can answer with
├── TooLarge           413  over a limit: bytes, pixels, seconds, characters, elements
├── UnsupportedMedia   415  a content type this task does not take
├── InvalidInput       422  readable, but not what the model takes: wrong shape, NaN, empty text, bad parameter
├── TooSlow            422  it takes longer than the model's time limit for one request
├── Quarantined        422  it has ended two workers of this model and is not retried
├── InternalError      500  the model failed on this item; the cause is in the server's log
├── NotOffered         501  a request for something this model does not do
├── Unavailable        503  not answered, because other requests of its batch used up the time
├── DeadlineExceeded   504  its caller's deadline had passed before its turn came
└── OutOfMemory        507  this item alone does not fit into the device's memory
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Self

MAX_MESSAGE = 300  # characters
MAX_SHOWN = 40
# How a library's exception names an object it was given: <_io.BytesIO object at 0x7f0c8c2b1d50>.
ADDRESS = re.compile(r"<[^<>]{1,100} at 0x[0-9a-fA-F]{4,16}>")


class RequestError(Exception):
    """An error of one request; the others in its batch are answered as usual."""

    code: ClassVar[int] = 400

    @property
    def type(self) -> str:
        return type(self).__name__

    @property
    def message(self) -> str:
        """The text for the sender: bounded in length, whatever the request held, and without object addresses."""
        text = ADDRESS.sub("the input", str(self)[: 4 * MAX_MESSAGE])
        return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"

    def at(self, place: str) -> Self:
        """The same error, prefixed with its place in the request."""
        return type(self)(f"{place}: {self.message}")

    def detached(self) -> Self:
        """The same error without its traceback, whose frames would keep the request's body in memory."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


def shown(value: Any) -> str:
    """A request's value for an error message: JSON, cut short; for lists and objects, only the kind."""
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str):
        value = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, default=lambda other: type(other).__name__)[:MAX_SHOWN]


class MalformedInput(RequestError):
    code = 400


class NotAcceptable(RequestError):
    code = 406


class TooLarge(RequestError):
    code = 413


class UnsupportedMedia(RequestError):
    code = 415


class InvalidInput(RequestError):
    code = 422


class TooSlow(RequestError):
    code = 422


class Quarantined(RequestError):
    code = 422


class InternalError(RequestError):
    code = 500


class NotOffered(RequestError):
    code = 501


class Unavailable(RequestError):
    code = 503


class DeadlineExceeded(RequestError):
    code = 504


class OutOfMemory(RequestError):
    code = 507
