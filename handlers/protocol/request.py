"""One parser for every form a request can take, on REST and gRPC, for all tasks.

Raw bytes with a content type; a multipart form; JSON with base64 or text under a known key, or bare; JSON tensors;
KServe's v1 `instances` and v2 `inputs`; a gRPC input map. The content type selects the reader: nothing is guessed by
trying one decoder after another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from handlers.errors import InvalidInput, MalformedInput, TooLarge, UnsupportedMedia
from handlers.protocol.kserve import v1_instances, v2_instances
from handlers.protocol.payload import InputType, Payload

DATA_KEYS = ("body", "data", "image", "audio", "text", "context", "input", "observation", "file", "b64", "image_bytes")
HEADER_KEYS = ("content-type", "accept")
Dialect = Literal["plain", "v1", "v2"]


@dataclass(frozen=True)
class Request:
    """payloads: one, or several where a KServe request carries several instances.

    dialect: how the answers are wrapped. accept: the media types asked for, lower case. id: of a v2 request.
    """

    payloads: list[Payload]
    accept: str = ""
    dialect: Dialect = "plain"
    id: str = ""


def media_type(value: str) -> str:
    """`"Image/PNG; q=1"` → `"image/png"`."""
    return value.partition(";")[0].strip().lower()


def text_of(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def parse(row: Mapping[str, Any], headers: Mapping[str, Any], input_type: InputType, max_bytes: int) -> Request:
    """Read one row of a batch.

    row: part, query or input-map names to values, as TorchServe hands them over (bytes or bytearray).
    headers: of the HTTP request, in the sender's spelling; a form's part stands under its name with its content type.
    input_type: what the task takes. max_bytes: limit on the payload.

    Raises MalformedInput, TooLarge, UnsupportedMedia or InvalidInput.
    """
    lower = {str(name).lower(): value for name, value in headers.items()}
    named = [key for key in DATA_KEYS if key in row]
    if "body" in named and named != ["body"] and not row["body"]:
        named.remove("body")  # an empty body beside an input map that carries the data
    if not named:
        raise no_input(row, text_of(lower.get("content-type", "")))
    if len(named) > 1:
        raise MalformedInput(f"more than one input: {', '.join(named)}; send one")
    key = named[0]
    value = row[key]
    data = value.encode() if isinstance(value, str) else bytes(value)
    if len(data) > max_bytes:
        raise TooLarge(f"the input has {len(data)} bytes, the limit is {max_bytes}")
    parameters = {n: text_of(v) for n, v in row.items() if n not in DATA_KEYS and n not in HEADER_KEYS}
    accept = text_of(row.get("accept", lower.get("accept", ""))).lower()
    content_type = media_type(content_type_of(key, row, lower))
    if not data:
        raise MalformedInput("the input is empty")
    if content_type == "application/json" or (not content_type and input_type is InputType.TENSOR):
        return from_json(data, parameters, accept, input_type)
    if input_type is InputType.TENSOR:
        raise UnsupportedMedia(f"content type {content_type!r}; this model takes application/json")
    if input_type is InputType.TEXT:
        return Request([Payload(decode_text(data, content_type), content_type, parameters)], accept)
    return Request([Payload(data, content_type.replace(InputType.MEDIA.value, ""), parameters)], accept)


def content_type_of(key: str, row: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    part = headers.get(key)
    if isinstance(part, Mapping) and part.get("content-type"):
        return text_of(part["content-type"])
    if "content-type" in row:
        return text_of(row["content-type"])
    declared = text_of(headers.get("content-type", ""))
    return "" if media_type(declared).startswith(("multipart/", "application/x-www-form")) else declared


def no_input(row: Mapping[str, Any], content_type: str) -> Exception:
    if media_type(content_type) == "application/x-www-form-urlencoded":
        return UnsupportedMedia(
            "the body came as a web form, curl's default; name its type, as in -H 'Content-Type: image/jpeg'"
        )
    found = ", ".join(sorted(str(name)[:40] for name in row)[:8]) or "nothing"
    return MalformedInput(f"no input: wanted a body or one of the fields {', '.join(DATA_KEYS)}; got {found}")


def decode_text(data: bytes, content_type: str) -> str:
    if content_type and not content_type.startswith("text/") and content_type != InputType.MEDIA.value:
        raise UnsupportedMedia(f"content type {content_type!r}; this model takes text/plain or application/json")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"the text is not UTF-8: byte {error.start} is {data[error.start]:#04x}") from None


def from_json(data: bytes, parameters: dict[str, Any], accept: str, input_type: InputType) -> Request:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedInput(f"the body is not JSON: {error}") from None
    if isinstance(value, dict) and "instances" in value:
        shared = parameters | {k: v for k, v in value.items() if k != "instances"}
        return Request([read(item, shared, input_type) for item in v1_instances(value)], accept, "v1")
    if isinstance(value, dict) and "inputs" in value:
        own = value.get("parameters")
        shared = parameters | (own if isinstance(own, dict) else {})
        payloads = [read(item, shared, input_type) for item in v2_instances(value)]
        return Request(payloads, accept, "v2", str(value.get("id", "")))
    return Request([read(value, parameters, input_type)], accept)


def read(value: Any, parameters: Mapping[str, Any], input_type: InputType) -> Payload:
    """One JSON value: an object with the data under a known key, or the data itself."""
    if isinstance(value, dict):
        named = [key for key in DATA_KEYS if key in value]
        if len(named) != 1:
            got = ", ".join(str(key)[:40] for key in list(value)[:8]) or "an empty object"
            raise MalformedInput(f"the JSON object needs one of the keys {', '.join(DATA_KEYS)}; got {got}")
        return read(value[named[0]], {**parameters, **{k: v for k, v in value.items() if k != named[0]}}, input_type)
    if isinstance(value, list) and input_type is not InputType.TEXT:
        return Payload(value, "", parameters)
    if isinstance(value, str) and input_type is InputType.TEXT:
        return Payload(value, "text/plain", parameters)
    if isinstance(value, str) and input_type is InputType.MEDIA:
        return from_base64(value, parameters)
    wanted = {
        InputType.TEXT: "a string",
        InputType.MEDIA: "a base64 string or a list of numbers",
        InputType.TENSOR: "a list of numbers",
    }
    raise InvalidInput(f"the data is a JSON {type(value).__name__}; wanted {wanted[input_type]}")


def from_base64(text: str, parameters: Mapping[str, Any]) -> Payload:
    """Base64, or a data URL (RFC 2397) that brings its own content type."""
    content_type = ""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise MalformedInput("a data URL must be data:<type>;base64,<data>")
        content_type = media_type(head.removeprefix("data:").removesuffix(";base64"))
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput(f"the data is not base64: {error}") from None
    if not data:
        raise MalformedInput("the input is empty")
    return Payload(data, content_type, parameters)
