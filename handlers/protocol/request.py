"""One parser for every form a request can take, on REST and gRPC, for all tasks.

Raw bytes with a content type; a multipart form; JSON with base64 or text under a known key, or bare; JSON tensors;
KServe's v1 `instances` and v2 `inputs`; a gRPC input map. The content type selects the reader: nothing is guessed by
trying one decoder after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia, shown
from handlers.protocol import deadline, trace_context
from handlers.protocol.content_encoding import decode_content
from handlers.protocol.json_body import from_binary, from_json, is_object_with_data
from handlers.protocol.json_value import DATA_KEYS, DATA_NAMES, MAX_PARAMETERS
from handlers.protocol.limits import Limits
from handlers.protocol.media_type import decode_text, is_json, is_media_type, media_type, named_type
from handlers.protocol.openai.call import UNITS, path_of
from handlers.protocol.payload import InputType, Parameters, Payload, Request
from handlers.protocol.query import QUERY, parameters_of

# The length of the JSON before binary tensors, by the protocol's binary extension.
JSON_LENGTH = "inference-header-content-length"
# Set by an edge where it has sent a call of KServe's paths to another one.
KSERVE = "x-kserve"
HEADER_KEYS = ("content-type", "content-encoding", "accept", deadline.HEADER, JSON_LENGTH)
NOT_PARAMETERS = DATA_NAMES.union(HEADER_KEYS, trace_context.NAMES)
FORMS = ("multipart/", "application/x-www-form")
# In a form of several parts, which TorchServe reads only where it is named in small letters, and with its boundary.
DISPOSITION = b"content-disposition:"
MAX_HEADER = 8192  # characters, as over HTTP
OCTETS = InputType.MEDIA.value


def text_of(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def texts_of(value: Any) -> Any:
    """The text of a part, or those of one that was sent several times."""
    return [text_of(each) for each in value] if isinstance(value, list) else text_of(value)


def lower_names(headers: Mapping[str, Any]) -> dict[str, Any]:
    """headers: of the HTTP request, in the sender's spelling; a form's part stands among them under its name."""
    return {str(name).lower(): value for name, value in headers.items()}


def parse(row: Mapping[str, Any], headers: Mapping[str, Any], input_type: InputType, limits: Limits) -> Request:
    """Read one row of a batch.

    row: part, query or input-map names to values, as TorchServe hands them over (bytes or bytearray); one that was sent
    more than once has a list of them. headers: as `lower_names` gives them; a form's part stands under its name with
    its content type. input_type: what the task takes.

    Raises MalformedInput, TooLarge, UnsupportedMedia or InvalidInput; DeadlineExceeded before anything is read.
    """
    path = path_of(headers)
    if deadline.HEADER in headers or deadline.HEADER in row:
        deadline.check(header(deadline.HEADER, row, headers))
    named = DATA_NAMES.intersection(row)
    if len(named) > 1 and "body" in named and not row["body"]:
        named -= {"body"}  # an empty body beside an input map that carries the data
    if not named:
        raise no_input(row, text_of(headers.get("content-type", "")))
    if len(named) > 1:
        raise MalformedInput(f"more than one input: {', '.join(sorted(named, key=DATA_KEYS.index))}; send one")
    check_row(row, limits, UNITS if path else ())
    [key] = named
    value = row[key]
    data = value.encode() if isinstance(value, str) else bytes(value)
    if len(data) > limits.max_bytes:
        raise TooLarge(f"the input has {len(data)} bytes, the limit is {limits.max_bytes}")
    if not data:
        raise MalformedInput("the input is empty")
    if encoding := header("content-encoding", row, headers):
        data = decode_content(data, encoding, limits.max_bytes)
    parameters = {name: texts_of(sent) for name, sent in row.items() if name not in NOT_PARAMETERS}
    if path:
        from handlers.protocol.openai import request as openai  # a worker starts sooner without it

        return openai.from_body(path, key, data, header("content-type", row, headers), parameters, limits)
    if QUERY in headers:
        parameters = {**parameters_of(header(QUERY, {}, headers)), **parameters}
    accept = header("accept", row, headers).lower()
    if length := header(JSON_LENGTH, row, headers).strip():
        size = json_length(length, data)
        if size < len(data):
            return from_binary(data, size, parameters, accept, input_type, limits)
    declared, content_type = content_type_of(key, data, row, headers, input_type)
    if is_json(content_type) or (not content_type and input_type is InputType.TENSOR):
        return from_json(data, declared, parameters, accept, input_type, limits)
    if input_type is InputType.TENSOR:
        raise UnsupportedMedia(f"content type {shown(content_type)}; this model takes application/json")
    if input_type is InputType.MEDIA:
        return Request([Payload(data, named_type(content_type), Parameters(parameters))], accept)
    if named_type(content_type) and not content_type.startswith("text/"):
        raise UnsupportedMedia(f"content type {shown(content_type)}; this model takes text/plain or application/json")
    return Request([Payload(decode_text(data, declared), content_type, Parameters(parameters))], accept)


def check_row(row: Mapping[str, Any], limits: Limits, lists: Sequence[str] = ()) -> None:
    """Refuse a part that was sent twice, and more parts, or more in them beside the data, than a request needs.

    lists: names of parts that may be sent several times.
    """
    if len(row) > MAX_PARAMETERS:
        raise InvalidInput(f"the request has {len(row)} parts; wanted at most {MAX_PARAMETERS}")
    beside = 0
    for name, value in row.items():
        if isinstance(value, list) and (name not in lists or len(value) > len(lists)):
            raise MalformedInput(f"{shown(name)}: sent {len(value)} times; send one")
        if name not in DATA_NAMES:
            beside += len(value)
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
    has_length = JSON_LENGTH in headers or JSON_LENGTH in row
    if has_length or on_kserve_path(headers):
        if of_request and not has_length and not is_json(of_request):
            raise UnsupportedMedia(
                "KServe's requests are application/json, or JSON with binary tensors behind it and its length in "
                f"{JSON_LENGTH}; got {shown(of_request)}"
            )
        return declared if is_json(of_request) else "", "application/json"
    if not of_request.startswith(FORMS):
        return declared, of_request
    if key == "body" and data.startswith(b"--") and DISPOSITION in data[:MAX_HEADER].lower():
        raise MalformedInput(
            f"the form came as a whole, not as parts: got {shown(declared)}; wanted multipart/form-data; boundary=… "
            "in small letters"
        )
    part = headers.get(key)
    sent = text_of(part.get("content-type", "")) if isinstance(part, Mapping) else ""
    content_type = media_type(sent)
    if is_media_type(content_type) and named_type(content_type):
        return sent, content_type
    # TorchServe gives a field of a form no type, a file without one octet-stream's, and one whose type has parameters
    # the last of them: "codecs=opus". The decoders of images and recordings look at the bytes.
    if input_type is InputType.MEDIA and data[:64].lstrip()[:1] in (b"{", b"["):
        return "", "application/json"
    if input_type is InputType.TEXT and content_type and is_object_with_data(data):
        return "", "application/json"
    return "", ""


def on_kserve_path(headers: Mapping[str, Any]) -> bool:
    """Whether the request came to /v1/models or /v2/models: there TorchServe does not add `url_path`, or an edge says
    so. headers: of the HTTP request, as `parse` takes them."""
    return (isinstance(headers.get("explain"), str) and "url_path" not in headers) or KSERVE in headers


def json_length(value: str, data: bytes) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 12 and 0 < int(value) <= len(data)):
        raise MalformedInput(f"{JSON_LENGTH}: got {shown(value)}; the body has {len(data)} bytes")
    return int(value)


def no_input(row: Mapping[str, Any], content_type: str) -> RequestError:
    if media_type(content_type) == "application/x-www-form-urlencoded":
        return UnsupportedMedia(
            "the body came as a web form, curl's default; name its type, as in -H 'Content-Type: image/jpeg'"
        )
    found = ", ".join(sorted(str(name)[:40] for name in row)[:8]) or "nothing"
    return MalformedInput(f"no input: wanted a body or one of the fields {', '.join(DATA_KEYS)}; got {found}")
