"""gRPC statuses as the exceptions that the same errors raise over REST."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import grpc

from client.errors import (
    INVALID_KEY,
    NO_WORKER,
    ClientError,
    deadline_exceeded,
    error_for,
    over_request_size,
    unreachable,
)

# What TorchServe's REST side answers for its own exceptions; over gRPC it sends several of them as INTERNAL.
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
# The message and, on a last line of its own, the Java class: org.pytorch.serve.http.InternalServerException, or
# InternalServerException.().
DESCRIPTION = re.compile(r"(.*)\n(?:[\w$]+\.)*([\w$]+)(?:\.\(\))?", re.DOTALL)
RESET = "RST_STREAM"  # how TorchServe refuses a message over its max_request_size
# The trailer in which an edge passes on the error that a model answered with; its own errors are in the details.
CARRIED = "bundle-error"
REFUSED_KEY = "Token Authorization failed"


def from_rpc(error: Any, timeout: float) -> ClientError:
    """error: a grpc.RpcError of a call. timeout: that call's, in seconds."""
    status: grpc.StatusCode = error.code()
    details = error.details() or ""
    carried = dict(error.trailing_metadata() or ()).get(CARRIED)
    if carried or details.startswith('{"code":'):
        body = json.loads(unquote(carried) if carried else details)
        return error_for(body["code"], body["type"], body["message"])
    described = DESCRIPTION.fullmatch(details)
    message, type = described.groups() if described else (details, "")
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
        return error_for(507, type, message)  # a worker out of memory; without a class, a message over the limit
    code = CODE_BY_TYPE.get(type) or CODE_BY_STATUS.get(status, 500)
    return error_for(code, type, message or f"the server ended the call with {status.name} and no reason")
