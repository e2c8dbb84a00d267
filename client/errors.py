"""Errors of calls: the same exceptions over REST and gRPC.

ClientError
├── RequestError         4xx  the request is at fault; sending it again gives the same
│   ├── BadRequest       400  cannot be read
│   ├── Unauthorized     401  no key, or one the server refuses even after it was renewed
│   ├── Forbidden        403
│   ├── NotFound         404  no such model or version
│   ├── NotAcceptable    406  the model answers with none of the accepted media types
│   ├── Conflict         409  the version is registered already
│   ├── TooLarge         413
│   ├── UnsupportedMedia 415
│   ├── InvalidInput     422  readable, but not what the model takes
│   └── TooManyRequests  429  more than this caller may send
└── ServerError          5xx  the server is at fault
    ├── NotOffered       501
    ├── Unavailable      503  no worker, or its queue is full
    │   └── Unreachable       nothing answers at the address, or the connection broke
    ├── DeadlineExceeded 504  no answer within the timeout
    └── OutOfMemory      507
"""

from __future__ import annotations


class ClientError(Exception):
    """code: an HTTP status, on both protocols. type: the server's name for the error. message: for people."""

    def __init__(self, code: int, type: str, message: str) -> None:
        super().__init__(code, type, message)
        self.code = code
        self.type = type
        self.message = message

    def __str__(self) -> str:
        return f"{self.code} {self.type}: {self.message}"


class RequestError(ClientError):
    pass


class BadRequest(RequestError):
    pass


class Unauthorized(RequestError):
    pass


class Forbidden(RequestError):
    pass


class NotFound(RequestError):
    pass


class NotAcceptable(RequestError):
    pass


class Conflict(RequestError):
    pass


class TooLarge(RequestError):
    pass


class UnsupportedMedia(RequestError):
    pass


class InvalidInput(RequestError):
    pass


class TooManyRequests(RequestError):
    pass


class ServerError(ClientError):
    pass


class NotOffered(ServerError):
    pass


class Unavailable(ServerError):
    pass


class Unreachable(Unavailable):
    pass


class DeadlineExceeded(ServerError):
    pass


class OutOfMemory(ServerError):
    pass


INVALID_KEY = "InvalidKeyException"  # TorchServe's type for a missing, wrong or expired key; its REST status is 400

# TorchServe says this of a full queue as well, and advises to add workers.
NO_WORKER = "has no worker to serve"
BUSY = "the model's queue is full, or it has no worker; try again in a second, and then less often"

BY_CODE: dict[int, type[ClientError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    406: NotAcceptable,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMedia,
    422: InvalidInput,
    429: TooManyRequests,
    501: NotOffered,
    503: Unavailable,
    504: DeadlineExceeded,
    507: OutOfMemory,
}


def error_for(code: int, type: str, message: str) -> ClientError:
    """The exception of an error answer; a code without a class of its own gives RequestError or ServerError.

    type: the exception's own name where it is empty.
    """
    if type == INVALID_KEY:
        return Unauthorized(401, type, message)
    if NO_WORKER in message:
        return Unavailable(503, type, BUSY)
    kind = BY_CODE.get(code, RequestError if code < 500 else ServerError)
    return kind(code, type or kind.__name__, message)


def unreachable(message: str) -> Unreachable:
    return Unreachable(503, "Unreachable", message)


def over_request_size() -> TooLarge:
    return TooLarge(413, "TooLarge", "the request is larger than the server's max_request_size")


def deadline_exceeded(timeout: float) -> DeadlineExceeded:
    """timeout: in seconds."""
    return DeadlineExceeded(504, "DeadlineExceeded", f"no answer within {timeout:g} s")
