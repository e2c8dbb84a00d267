"""Errors in the API's form."""

from __future__ import annotations

import json
from typing import Any


def form(code: int, type: str, message: str) -> dict[str, Any]:
    """As handlers/protocol/openai/response.py has them."""
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def rewritten(body: bytes, code: int) -> bytes:
    """An error of TorchServe's in the API's form; one of a handler's has it."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return json.dumps(form(code, "InternalServerException", "TorchServe has failed")).encode()
    if "error" in found:
        return body
    return json.dumps(form(code, str(found.get("type")), str(found.get("message")))).encode()
