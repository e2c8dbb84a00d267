"""One parser for every form a request can take, on REST and gRPC, for all tasks.

Raw bytes with a content type; a multipart form; JSON with base64 or text under a known key, or bare; JSON tensors;
KServe's v1 `instances` and v2 `inputs`; a gRPC input map. The content type selects the reader: nothing is guessed by
trying one decoder after another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia, shown
from handlers.protocol import deadline
from handlers.protocol.content_encoding import decode_content
from handlers.protocol.json_body import DATA_KEYS, MAX_PARAMETERS, from_json, is_object_with_data
from handlers.protocol.limits import Limits
from handlers.protocol.media_type import decode_text, is_json, is_media_type, media_type
from handlers.protocol.payload import InputType, Parameters, Payload, Request

HEADER_KEYS = ("content-type", "content-encoding", "accept", deadline.HEADER)
NOT_PARAMETERS = frozenset(DATA_KEYS + HEADER_KEYS)
FORMS = ("multipart/", "application/x-www-form")
BINARY_TENSORS = "inference-header-content-length"
MAX_HEADER = 8192  # characters, as over HTTP
OCTETS = InputType.MEDIA.value


def text_of(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def parse(row: Mapping[str, Any], headers: Mapping[str, Any], input_type: InputType, limits: Limits) -> Request:
    """Read one row of a batch.

    row: part, query or input-map names to values, as TorchServe hands them over (bytes or bytearray); one that was sent
    more than once has a list of them. headers: of the HTTP request, in the sender's spelling; a form's part stands
    under its name with its content type. input_type: what the task takes.

    Raises MalformedInput, TooLarge, UnsupportedMedia or InvalidInput; DeadlineExceeded before anything is read.
    """
    lower = {str(name).lower(): value for name, value in headers.items()}
    if deadline.HEADER in lower or deadline.HEADER in row:
        deadline.check(header(deadline.HEADER, row, lower))
    named = [key for key in DATA_KEYS if key in row]
    if "body" in named and named != ["body"] and not row["body"]:
        named.remove("body")  # an empty body beside an input map that carries the data
    if not named:
        raise no_input(row, text_of(lower.get("content-type", "")))
    if len(named) > 1:
        raise MalformedInput(f"more than one input: {', '.join(named)}; send one")
    check_row(row, limits)
    key = named[0]
    value = row[key]
    data = value.encode() if isinstance(value, str) else bytes(value)
    if len(data) > limits.max_bytes:
        raise TooLarge(f"the input has {len(data)} bytes, the limit is {limits.max_bytes}")
    if not data:
        raise MalformedInput("the input is empty")
    if encoding := header("content-encoding", row, lower):
        data = decode_content(data, encoding, limits.max_bytes)
    parameters = {name: text_of(sent) for name, sent in row.items() if name not in NOT_PARAMETERS}
    accept = header("accept", row, lower).lower()
    declared, content_type = content_type_of(key, data, row, lower, input_type)
    if is_json(content_type) or (not content_type and input_type is InputType.TENSOR):
        return from_json(data, declared, parameters, accept, input_type, limits)
    if input_type is InputType.TENSOR:
        raise UnsupportedMedia(f"content type {shown(content_type)}; this model takes application/json")
    if input_type is InputType.MEDIA:
        return Request([Payload(data, content_type.replace(OCTETS, ""), Parameters(parameters))], accept)
    if content_type and content_type != OCTETS and not content_type.startswith("text/"):
        raise UnsupportedMedia(f"content type {shown(content_type)}; this model takes text/plain or application/json")
    return Request([Payload(decode_text(data, declared), content_type, Parameters(parameters))], accept)


def check_row(row: Mapping[str, Any], limits: Limits) -> None:
    """Refuse a part that was sent twice, and more parts, or more in them beside the data, than a request needs."""
    if len(row) == 1:
        [(name, value)] = row.items()
        if not isinstance(value, list):
            return
    if len(row) > MAX_PARAMETERS:
        raise InvalidInput(f"the request has {len(row)} parts; wanted at most {MAX_PARAMETERS}")
    for name, value in row.items():
        if isinstance(value, list):
            raise MalformedInput(f"{shown(name)}: sent {len(value)} times; send one")
    beside = sum(len(value) for name, value in row.items() if name not in DATA_KEYS)
    if beside > limits.max_bytes:
        raise TooLarge(f"the parameters have {beside} bytes, the limit is {limits.max_bytes}")


def header(name: str, row: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """A header's value, over gRPC an entry of the input map."""
    sent = row.get(name, headers.get(name, ""))
    value = sent if isinstance(sent, str) else text_of(sent)
    if len(value) > MAX_HEADER:
        raise MalformedInput(f"{name}: got {len(value)} characters, wanted at most {MAX_HEADER}")
    return value


def content_type_of(
    key: str, data: bytes, row: Mapping[str, Any], headers: Mapping[str, Any], input_type: InputType
) -> tuple[str, str]:
    """The data's Content-Type as it was declared, and its media type; "" where there is none to go by."""
    declared = header("content-type", row, headers)
    of_request = media_type(declared)
    kserve = speaks_kserve(headers)
    if has_binary_tensors(data, headers) or (kserve and of_request and not is_json(of_request)):
        raise UnsupportedMedia(
            f"KServe's requests are taken as application/json alone, without binary tensors; got {shown(of_request)}"
        )
    if kserve:
        return declared, "application/json"
    if not of_request.startswith(FORMS):
        return declared, of_request
    part = headers.get(key)
    sent = text_of(part.get("content-type", "")) if isinstance(part, Mapping) else ""
    content_type = media_type(sent)
    if is_media_type(content_type) and content_type != OCTETS:
        return sent, content_type
    # TorchServe gives a field of a form no type, a file without one octet-stream's, and one whose type has parameters
    # the last of them: "codecs=opus". The decoders of images and recordings look at the bytes.
    if input_type is InputType.MEDIA and data[:64].lstrip()[:1] in (b"{", b"["):
        return "", "application/json"
    if input_type is InputType.TEXT and content_type and is_object_with_data(data):
        return "", "application/json"
    return "", ""


def speaks_kserve(headers: Mapping[str, Any]) -> bool:
    """Whether the request came to /v1/models or /v2/models, where TorchServe does not add `url_path`, or says so."""
    on_path = isinstance(headers.get("explain"), str) and "url_path" not in headers
    return on_path or BINARY_TENSORS in headers


def has_binary_tensors(data: bytes, headers: Mapping[str, Any]) -> bool:
    """Whether tensors stand behind the JSON: the header of the protocol's binary extension says how long that is."""
    return BINARY_TENSORS in headers and text_of(headers[BINARY_TENSORS]).strip() != str(len(data))


def no_input(row: Mapping[str, Any], content_type: str) -> RequestError:
    if media_type(content_type) == "application/x-www-form-urlencoded":
        return UnsupportedMedia(
            "the body came as a web form, curl's default; name its type, as in -H 'Content-Type: image/jpeg'"
        )
    found = ", ".join(sorted(str(name)[:40] for name in row)[:8]) or "nothing"
    return MalformedInput(f"no input: wanted a body or one of the fields {', '.join(DATA_KEYS)}; got {found}")
