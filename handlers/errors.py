"""Errors of one request, each with the HTTP status it is answered with.

RequestError
├── MalformedInput     400  cannot be read: bad JSON, bad base64, a truncated file, no input at all
├── NotAcceptable      406  the Accept header names nothing this task can answer with
├── TooLarge           413  over a limit: bytes, pixels, seconds, characters, elements
├── UnsupportedMedia   415  a content type this task does not take
├── InvalidInput       422  readable, but not what the model takes: wrong shape, NaN, empty text, bad parameter
├── InternalError      500  the model failed on this item; the cause is in the server's log
├── NotOffered         501  a request for something this model does not do
└── OutOfMemory        507  this item alone does not fit into the device's memory
"""

from __future__ import annotations

from typing import ClassVar


class RequestError(Exception):
    """An error of one request; its neighbours in the batch are answered all the same."""

    code: ClassVar[int] = 400

    @property
    def type(self) -> str:
        return type(self).__name__

    @property
    def message(self) -> str:
        return str(self)


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


class InternalError(RequestError):
    code = 500


class NotOffered(RequestError):
    code = 501


class OutOfMemory(RequestError):
    code = 507
