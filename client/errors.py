"""Errors of calls: the same exceptions over REST and gRPC.

ClientError
├── RequestError         4xx  the request is wrong; sending it again does not help
│   ├── BadRequest       400  cannot be read
│   ├── Unauthorized     401  no key, or one that the server refuses even after renewal
│   ├── Forbidden        403
│   ├── NotFound         404  no such model or version
│   ├── NotAcceptable    406  the model supports none of the accepted media types
│   ├── Conflict         409  the version is registered already
│   ├── TooLarge         413
│   ├── UnsupportedMedia 415
│   ├── InvalidInput     422  readable, but not a valid input of the model
│   └── TooManyRequests  429  the caller's rate limit is exceeded
└── ServerError          5xx  the server failed
    ├── NotOffered       501
    ├── Unavailable      503  no worker, or its queue is full
    │   └── Unreachable       no answer from the address, or the connection broke
    ├── DeadlineExceeded 504  no answer within the timeout
    └── OutOfMemory      507
"""

from __future__ import annotations


class ClientError(Exception):
    """code: an HTTP status, on both protocols. type: the server's name for the error. message: for people.

    request_id: identifies the call in the server's log; "" if the server sent none. retry_after: seconds after which
    the server suggests to retry; None if it suggests nothing.
    """

    def __init__(self, code: int, type: str, message: str) -> None:
        super().__init__(code, type, message)
        self.code = code
        self.type = type
        self.message = message
        self.request_id = ""
        self.retry_after: float | None = None

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

# TorchServe says this for a full queue as well, and advises adding workers.
NO_WORKER = "has no worker to serve"
BUSY = "the model's queue is full, or it has no worker; try again in a second, then at growing intervals"

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
    """The exception for an error answer; codes without their own class give RequestError or ServerError.

    type: if empty, the exception's name is used.
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
