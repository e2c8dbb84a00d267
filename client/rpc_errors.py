"""Maps gRPC statuses to the exceptions that the same errors raise over REST."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import grpc

from client.answer import REQUEST_ID
from client.errors import (
    INVALID_KEY,
    NO_WORKER,
    ClientError,
    deadline_exceeded,
    error_for,
    over_request_size,
    unreachable,
)
from client.wire.rest_response import seconds_of

# HTTP codes that TorchServe uses over REST for its own exceptions; over gRPC it sends several of them as INTERNAL.
CODE_BY_TYPE = {
    "ModelNotFoundException": 404,
    "ModelVersionNotFoundException": 404,
    "BadRequestException": 400,
    "InvalidModelVersionException": 403,
    "ConflictStatusException": 409,
    "DownloadArchiveException": 400,
}
CODE_BY_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}
# The message, followed by a line with the Java class, such as org.pytorch.serve.http.InternalServerException or
# InternalServerException.().
DESCRIPTION = re.compile(r"(.*)\n(?:[\w$]+\.)*([\w$]+)(?:\.\(\))?", re.DOTALL)
RESET = "RST_STREAM"  # how TorchServe refuses a message over its max_request_size
# The trailer in which an edge forwards a model's error; the edge's own errors are in the details.
CARRIED = "bundle-error"
REFUSED_KEY = "Token Authorization failed"


def from_rpc(error: Any, timeout: float) -> ClientError:
    """error: a grpc.RpcError, or grpc.aio's. timeout: of the call, in seconds."""
    received = {**dict(error.initial_metadata() or ()), **dict(error.trailing_metadata() or ())}
    found = described(error.code(), error.details() or "", received.get(CARRIED), timeout)
    found.request_id = str(received.get(REQUEST_ID, ""))
    found.retry_after = seconds_of(str(received.get("retry-after", "")))
    return found


def described(status: grpc.StatusCode, details: str, carried: str | None, timeout: float) -> ClientError:
    """carried: the model's error as forwarded by the edge."""
    if carried or details.startswith('{"code":'):
        body = json.loads(unquote(carried) if carried else details)
        return error_for(body["code"], body["type"], body["message"])
    found = DESCRIPTION.fullmatch(details)
    message, type = found.groups() if found else (details, "")
    if status is grpc.StatusCode.DEADLINE_EXCEEDED and not type:
        return deadline_exceeded(timeout)
    if status is grpc.StatusCode.PERMISSION_DENIED and message.startswith(REFUSED_KEY):
        return error_for(401, INVALID_KEY, message)
    if status is grpc.StatusCode.UNAVAILABLE and not type:
        return unreachable(message)
    if status is grpc.StatusCode.CANCELLED and RESET in message:
        return over_request_size()
    if NO_WORKER in message:
        return error_for(503, "ServiceUnavailableException", message)
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED and type:
        return error_for(
            507, type, message
        )  # a worker is out of memory; without a Java class, a message is over the limit
    code = CODE_BY_TYPE.get(type) or CODE_BY_STATUS.get(status, 500)
    return error_for(code, type, message or f"the server ended the call with {status.name} without a reason")
