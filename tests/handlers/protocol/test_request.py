"""Every form a request can take, and what is said to a bad one."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.request import Request, parse

PIXELS = b"\x89PNG not really"
B64 = base64.b64encode(PIXELS).decode()
LIMIT = 1000


def read(row: dict[str, Any], headers: dict[str, Any] | None = None, kind: InputType = InputType.MEDIA) -> Request:
    return parse(row, headers or {}, kind, LIMIT)


def as_json(value: Any, kind: InputType = InputType.MEDIA) -> Request:
    return read({"body": bytearray(orjson.dumps(value))}, {"Content-Type": "application/json; charset=utf-8"}, kind)


def test_raw_bytes_keep_their_content_type() -> None:
    request = read({"body": bytearray(PIXELS)}, {"CONTENT-type": "Image/PNG; q=1", "Accept": "Image/PNG"})
    assert request.payloads == [Payload(PIXELS, "image/png", {})]
    assert request.accept == "image/png"


def test_raw_bytes_without_a_type_are_media() -> None:
    assert read({"body": PIXELS}).payloads[0].content_type == ""
    assert read({"body": PIXELS}, {"content-type": "application/octet-stream"}).payloads[0].content_type == ""


def test_query_parameters_travel_beside_the_body() -> None:
    request = read({"body": PIXELS, "top_k": bytearray(b"3")})
    assert request.payloads[0].integer("top_k", 5, 1, 10) == 3


@pytest.mark.parametrize("name", ["data", "body", "image", "audio", "file"])
def test_multipart_parts_bring_their_own_type(name: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", name: {"content-type": "image/webp"}}
    request = read({name: PIXELS, "top_k": b"2"}, headers)
    assert request.payloads[0] == Payload(PIXELS, "image/webp", {"top_k": "2"})


def test_grpc_map_names_type_and_accept_itself() -> None:
    row = {"body": PIXELS, "content-type": b"image/jpeg", "accept": b"image/png", "render": b"label-map"}
    request = read(row)
    assert request.payloads[0] == Payload(PIXELS, "image/jpeg", {"render": "label-map"})
    assert request.accept == "image/png"


@pytest.mark.parametrize("key", ["data", "image", "b64", "image_bytes"])
def test_json_base64_under_every_known_key(key: str) -> None:
    assert as_json({key: B64}).payloads[0].data == PIXELS
    assert as_json({key: {"b64": B64}, "top_k": 2}).payloads[0] == Payload(PIXELS, "", {"top_k": 2})


def test_json_data_url_names_its_type() -> None:
    assert as_json(f"data:image/png;base64,{B64}").payloads[0] == Payload(PIXELS, "image/png", {})


def test_json_tensor_and_text() -> None:
    assert as_json([[1, 2], [3, 4]], InputType.TENSOR).payloads[0].data == [[1, 2], [3, 4]]
    assert as_json({"text": "aGVsbG8="}, InputType.TEXT).payloads[0].data == "aGVsbG8="
    assert read({"body": "grüße".encode()}, kind=InputType.TEXT).payloads[0].data == "grüße"


def test_tensor_bodies_are_json_without_saying_so() -> None:
    assert read({"body": b"[1, 2]"}, kind=InputType.TENSOR).payloads[0].data == [1, 2]


def test_kserve_v1() -> None:
    request = as_json({"instances": [B64, {"b64": B64, "top_k": 1}], "top_k": 4})
    assert request.dialect == "v1"
    assert [payload.parameters for payload in request.payloads] == [{"top_k": 4}, {"top_k": 1}]


def test_kserve_v2() -> None:
    tensor = {"name": "x", "shape": [2, 2, 1], "datatype": "FP32", "data": [1, 2, 3, 4]}
    request = as_json({"id": "7", "inputs": [tensor], "parameters": {"deterministic": False}}, InputType.TENSOR)
    assert (request.dialect, request.id) == ("v2", "7")
    assert [payload.data for payload in request.payloads] == [[[1], [2]], [[3], [4]]]
    texts = {"name": "x", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}
    assert [payload.data for payload in as_json({"inputs": [texts]}, InputType.TEXT).payloads] == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "headers", "kind", "error", "words"),
    [
        ({}, {}, InputType.MEDIA, MalformedInput, "got nothing"),
        ({"body": b""}, {}, InputType.MEDIA, MalformedInput, "empty"),
        (
            {"x=1": b""},
            {"content-type": "application/x-www-form-urlencoded"},
            InputType.MEDIA,
            UnsupportedMedia,
            "curl",
        ),
        ({"body": b"x" * (LIMIT + 1)}, {}, InputType.MEDIA, TooLarge, "1001 bytes"),
        ({"data": PIXELS, "image": PIXELS}, {}, InputType.MEDIA, MalformedInput, "more than one"),
        ({"body": b"{"}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "not JSON"),
        ({"body": b"\xff\xfe"}, {"content-type": "application/json"}, InputType.TEXT, MalformedInput, "not JSON"),
        ({"body": b"NaN"}, {}, InputType.TENSOR, MalformedInput, "not JSON"),
        ({"body": b"[" * 900}, {}, InputType.TENSOR, MalformedInput, "not JSON"),
        ({"body": b'"%%%"'}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "base64"),
        ({"body": b'{"dota": "x"}'}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "dota"),
        ({"body": b"7"}, {"content-type": "application/json"}, InputType.MEDIA, InvalidInput, "int"),
        ({"body": b"null"}, {"content-type": "application/json"}, InputType.TEXT, InvalidInput, "NoneType"),
        ({"body": b"\xff\xfe"}, {}, InputType.TEXT, MalformedInput, "not UTF-8"),
        ({"body": PIXELS}, {"content-type": "image/png"}, InputType.TEXT, UnsupportedMedia, "image/png"),
        ({"body": PIXELS}, {"content-type": "image/png"}, InputType.TENSOR, UnsupportedMedia, "image/png"),
        ({"body": b'{"instances": []}'}, {}, InputType.TENSOR, MalformedInput, "at least one"),
        ({"body": b'{"inputs": [{"shape": [2], "data": [1]}]}'}, {}, InputType.TENSOR, InvalidInput, "holds 2"),
        ({"body": b'{"inputs": [{"shape": [-1], "data": [1]}]}'}, {}, InputType.TENSOR, MalformedInput, "shape"),
    ],
)
def test_bad_requests(
    row: dict[str, Any], headers: dict[str, Any], kind: InputType, error: type[RequestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(row, headers, kind)


def survives(row: dict[str, Any], headers: dict[str, Any], kind: InputType) -> None:
    """The parser answers with payloads or with a client's error, and with nothing else."""
    code = 0
    try:
        payloads = read(row, headers, kind).payloads
    except RequestError as error:
        code, payloads = error.code, []
    assert payloads or 400 <= code < 500


@given(body=st.binary(max_size=200), kind=st.sampled_from(InputType), typed=st.booleans())
def test_no_bytes_break_the_parser(body: bytes, kind: InputType, typed: bool) -> None:
    survives({"body": body}, {"content-type": "application/json"} if typed else {}, kind)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["data", "instances", "inputs", "shape", "b64", "text", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(value=JSON_VALUES, kind=st.sampled_from(InputType))
def test_no_json_breaks_the_parser(value: Any, kind: InputType) -> None:
    survives({"body": orjson.dumps(value)}, {"content-type": "application/json"}, kind)


@pytest.mark.parametrize("value", ["seven", "0", "11", "2.5", "nan", None])
def test_bad_numbers(value: Any) -> None:
    with pytest.raises(InvalidInput, match="top_k"):
        Payload(b"x", "", {"top_k": value}).integer("top_k", 5, 1, 10)
