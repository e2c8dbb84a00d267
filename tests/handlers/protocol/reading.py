"""Requests as the tests of the protocol write them, read with small limits."""

import base64
from typing import Any

import orjson

from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType, Request
from handlers.protocol.request import lower_names, parse

PIXELS = b"\x89PNG not really"
B64 = base64.b64encode(PIXELS).decode()
LIMIT = 1000
LIMITS = Limits(max_bytes=LIMIT, max_instances=8, max_values=500)


def read(row: dict[str, Any], headers: dict[str, Any] | None = None, kind: InputType = InputType.MEDIA) -> Request:
    return parse(row, lower_names(headers or {}), kind, LIMITS)


def as_json(value: Any, kind: InputType = InputType.MEDIA) -> Request:
    return read({"body": bytearray(orjson.dumps(value))}, {"Content-Type": "application/json; charset=utf-8"}, kind)
