"""The edge's own replies: errors in the form of all others, and a line of log for each request."""

from __future__ import annotations

from typing import Any

from deploy.edge.filters import CLIENT_HEADER

NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "RequestTimeout",
    413: "TooLarge",
    429: "TooManyRequests",
    503: "Unavailable",
    504: "DeadlineExceeded",
}


def local_replies() -> dict[str, Any]:
    """The edge's own errors have the form of every other error: {"code", "type", "message"}."""

    def body(type: str) -> dict[str, Any]:
        return {"json_format": {"code": "%RESPONSE_CODE%", "type": type, "message": "%LOCAL_REPLY_BODY%"}}

    def status(code: int, operator: str) -> dict[str, Any]:
        value = {"default_value": code, "runtime_key": "unused"}
        return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}

    mappers = [{"filter": status(code, "EQ"), "body_format_override": body(name)} for code, name in NAMES.items()]
    return {"mappers": [*mappers, {"filter": status(400, "GE"), "body_format_override": body("EdgeError")}]}


def access_log() -> dict[str, Any]:
    fields = {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "client": f"%REQ({CLIENT_HEADER.upper()})%",
        "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "protocol": "%PROTOCOL%",
        "code": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "milliseconds": "%DURATION%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "server": "%UPSTREAM_HOST%",
        "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
    }
