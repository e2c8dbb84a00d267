"""Errors as the description has them: one form, and KServe's on its paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

ERROR = {
    "type": "object",
    "required": ["code", "type", "message"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "integer", "minimum": 400, "maximum": 599},
        "type": {"type": "string"},
        "message": {"type": "string"},
    },
}
KSERVE_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {"error": {"type": "string"}},
}
# As docs/requests.md has them; the last ones are the edge's.
MEANINGS = {
    400: "The request cannot be read.",
    404: "The server has no such model or version.",
    406: "The model answers with none of the accepted media types.",
    413: "The request is over a limit of the model's spec.",
    415: "A content type, charset, content encoding or file format that the model does not take.",
    422: "The request can be read, but is not what the model takes; or the work on it takes longer than it may.",
    500: "The model failed on this input; the cause is in the server's log.",
    503: "The model has no worker, or its queue is full; try again after the seconds in Retry-After.",
    504: "The caller's deadline passed first.",
    507: "The input alone does not fit into the device's memory.",
    401: "No key, or an unknown one.",
    405: "Another method is wanted; see Allow.",
    408: "The body did not arrive in time.",
    429: "More requests than this key may send.",
    431: "The headers are too large.",
}


def responses(schema: str, codes: Iterable[int] = MEANINGS) -> dict[str, Any]:
    """schema: the name of the form's component."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {str(code): {"description": MEANINGS[code], "content": content} for code in sorted(codes)}
