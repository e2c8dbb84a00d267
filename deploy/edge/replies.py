"""The edge's own replies: errors in the form of all others, and a line of log for each request."""

from __future__ import annotations

from typing import Any

from deploy.edge.filters import CLIENT_HEADER, FORM, WEB_FORM
from deploy.edge.limits import MAX_HEADERS, MAX_MANAGEMENT, MAX_REQUEST, RETRY_AFTER
from deploy.surface.openai.paths import MAX_JSON

# Type and message of each code; None is the message of whatever refused the request.
REPLIES: dict[int, tuple[str, str | None]] = {
    400: ("BadRequest", "the request is malformed: %RESPONSE_CODE_DETAILS%"),
    401: ("Unauthorized", "no key, or an unknown one; wanted the header Authorization: Bearer KEY"),
    403: ("Forbidden", "this key is not for that; management is for callers with admin: true"),
    404: ("NotFound", None),
    405: ("MethodNotAllowed", None),
    408: ("RequestTimeout", None),
    413: (
        "TooLarge",
        f"the body is larger than {MAX_REQUEST} bytes, or {MAX_JSON} of JSON below /v1/, or {MAX_MANAGEMENT} of a "
        "management call",
    ),
    415: ("UnsupportedMedia", None),
    422: ("InvalidInput", None),
    429: ("TooManyRequests", "more requests than this key may send; try again"),
    431: ("HeadersTooLarge", f"the headers are larger than {MAX_HEADERS} KiB, or more than 100"),
    503: ("Unavailable", None),
    504: ("DeadlineExceeded", None),
}
# The same of what Envoy's own words do not tell a caller, by its response flags.
FLAGS = {
    "UO": "the servers have as many requests of this size as they can hold; try again",
    "UH": "no server is ready: none of their models answers",
}
HEADERS = {
    401: {"www-authenticate": "Bearer"},
    429: {"retry-after": RETRY_AFTER},
    503: {"retry-after": RETRY_AFTER},
}


def cut_off(form: str, *flags: str) -> dict[str, Any]:
    """A filter for forms whose answer has no end, as one of these flags of Envoy's says.

    TorchServe repeats a form that it cannot read in its answer and then resets the connection, which cuts off long
    answers. form: the key by which a script notes that the body is one.
    """
    return {"and_filter": {"filters": [{"response_flag_filter": {"flags": list(flags)}}, noted(form)]}}


def noted(key: str) -> dict[str, Any]:
    """A filter for requests of which a script has noted something."""
    matcher = {"filter": "edge", "path": [{"key": key}], "value": {"bool_match": True}}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def local_replies() -> dict[str, Any]:
    """The edge's own errors have the form of every other error: {"code", "type", "message"}."""

    def body(type: str, message: str | None = None) -> dict[str, Any]:
        return {
            "json_format": {"code": "%RESPONSE_CODE%", "type": type, "message": message or "%LOCAL_REPLY_BODY%"},
        }

    def status(code: int, operator: str) -> dict[str, Any]:
        value = {"default_value": code, "runtime_key": "unused"}
        return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}

    def mapper(filter: dict[str, Any], code: int, type: str, message: str | None) -> dict[str, Any]:
        headers = [{"header": {"key": name, "value": value}} for name, value in HEADERS.get(code, {}).items()]
        return {"filter": filter, "body_format_override": body(type, message), "headers_to_add": headers}

    mappers = [
        mapper(noted("unreadable"), 400, "MalformedInput", FORM),
        {**mapper(cut_off("web_form", "UPE", "UC", "UR"), 415, "UnsupportedMedia", WEB_FORM), "status_code": 415},
        # Of a server that was killed the flags are others, and these forms may be right.
        {**mapper(cut_off("form", "UPE"), 400, "MalformedInput", FORM), "status_code": 400},
        *(
            mapper({"response_flag_filter": {"flags": [flag]}}, 503, "Unavailable", said)
            for flag, said in FLAGS.items()
        ),
        *(mapper(status(code, "EQ"), code, *reply) for code, reply in REPLIES.items()),
        {"filter": status(400, "GE"), "body_format_override": body("EdgeError")},
    ]
    return {"mappers": mappers}


def access_log(traced: bool = False) -> dict[str, Any]:
    """traced: whether its lines have trace ids."""
    fields = {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "client": f"%REQ({CLIENT_HEADER.upper()})%",
        "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "method": "%REQ(:METHOD)%",
        "model": "%DYNAMIC_METADATA(edge:model)%",
        "version": "%DYNAMIC_METADATA(edge:version)%",
        # Among which versions it was drawn, with which probabilities; null where the caller named it.
        "shares": "%DYNAMIC_METADATA(edge:shares)%",
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
        **({"trace_id": "%TRACE_ID%"} if traced else {}),
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
    }
