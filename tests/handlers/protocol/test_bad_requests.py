"""Requests that are wrong, hostile or larger than they may be."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.request import parse
from tests.handlers.protocol.reading import B64, LIMIT, PIXELS, as_json, read


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
        ({"body": b"[" * 240}, {}, InputType.TENSOR, MalformedInput, "not JSON"),
        ({"body": b'"%%%"'}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "base64"),
        ({"body": b'{"dota": "x"}'}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "dota"),
        ({"body": b"7"}, {"content-type": "application/json"}, InputType.MEDIA, InvalidInput, "a number; wanted"),
        ({"body": b"null"}, {"content-type": "application/json"}, InputType.TEXT, InvalidInput, "null"),
        ({"body": b"\xff\xfd"}, {}, InputType.TEXT, MalformedInput, "not UTF-8"),
        ({"body": PIXELS}, {"content-type": "image/png"}, InputType.TEXT, UnsupportedMedia, "image/png"),
        ({"body": PIXELS}, {"content-type": "image/png"}, InputType.TENSOR, UnsupportedMedia, "image/png"),
        ({"body": b'{"instances": []}'}, {}, InputType.TENSOR, MalformedInput, "at least one"),
        (
            {"body": b'{"inputs": [{"shape": [2], "datatype": "FP32", "data": [1]}]}'},
            {},
            InputType.TENSOR,
            InvalidInput,
            "holds 2",
        ),
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


@pytest.mark.parametrize("value", ["seven", "0", "11", "2.5", "nan", "9" * 5000, True, [1], {"a": 1}])
def test_bad_numbers(value: Any) -> None:
    with pytest.raises(InvalidInput, match="top_k"):
        Payload(b"x", "", {"top_k": value}).integer("top_k", 5, 1, 10)


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


DEEP: dict[str, Any] = {"data": "x"}
for _ in range(70):
    DEEP = {"data": DEEP}


@pytest.mark.parametrize("kind", InputType)
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"instances": [0] * 9}, 413),
        ({"inputs": ["a"] * 9}, 413),
        ({"inputs": [{"shape": [9, 1], "datatype": "FP32", "data": [0] * 9}]}, 413),
        ({"inputs": [{"shape": [1] * 400, "datatype": "FP32", "data": [1]}]}, 400),
        ({"inputs": [{"shape": [1, *[2**62] * 7], "datatype": "FP32", "data": [1]}]}, 422),
        ({"inputs": [{"shape": [True], "datatype": "FP32", "data": [1]}]}, 400),
        ({"inputs": [{"shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]}, 400),
        ({"inputs": [{"shape": [1], "datatype": "FP32", "data": [1]}], "id": deep(240)}, (400, 422)),
        ({"data": "eA==", "parameters": {"top_k": deep(240)}}, 422),
        ({"data": "eA==", "top_k": deep(240)}, 422),
        ({"data": "eA==", "parameters": [1]}, 422),
        ({"data": "eA==", **{f"p{n}": 0 for n in range(65)}}, 422),
        (DEEP, 400),
        ({"data": DEEP, "x": [DEEP]}, 413),
        ([0] * 501, 413),
        ([[]] * 251, 413),
        ([{}] * 81, 413),
        (b"[" * 9000, 400),
        ({"data": [',[{\\"' * 9, [0] * 500]}, 413),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_could_cost_more_than_it_may(value: Any, code: int | tuple[int, ...], kind: InputType) -> None:
    """The error is told in few words whatever it is about."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    limits = Limits(max_bytes=10_000, max_instances=8, max_values=500)
    with pytest.raises(RequestError) as raised:
        parse({"body": body}, {"content-type": "application/json"}, kind, limits)
    assert raised.value.code in (code if isinstance(code, tuple) else (code,)), raised.value
    assert len(raised.value.message) <= 300


def test_what_stands_in_texts_is_not_counted() -> None:
    text = ',[{\\"' * 1000
    limits = Limits(max_bytes=20_000, max_instances=8, max_values=500)
    body = json.dumps({"text": text, "stop": ["[", '"']}).encode()
    [payload] = parse({"body": body}, {"content-type": "application/json"}, InputType.TEXT, limits).payloads
    assert payload.data == text


def test_an_instance_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"^instances\[1\]: the data is null; wanted"):
        as_json({"instances": [B64, None, B64]})
    with pytest.raises(MalformedInput, match=r"^inputs\[2\]: the data is not base64"):
        as_json({"inputs": [B64, B64, "%"]})


def test_two_parts_of_one_name_are_refused() -> None:
    with pytest.raises(MalformedInput, match='"data": sent 2 times'):
        read({"data": [PIXELS, PIXELS]})
    with pytest.raises(MalformedInput, match='"top_k": sent 3 times'):
        read({"data": PIXELS, "top_k": [b"1", b"2", b"3"]})


@pytest.mark.parametrize(
    ("beside", "max_bytes", "code"),
    [
        ({f"p{n}": b"1" for n in range(100)}, LIMIT, 422),
        ({"top_k": b"9" * (LIMIT + 1)}, LIMIT, 413),
        ({"accept": b"," * 9000}, 1 << 20, 400),
        ({"content-type": b";" * 9000}, 1 << 20, 400),
    ],
)
def test_what_stands_beside_the_data_is_bounded(beside: dict[str, bytes], max_bytes: int, code: int) -> None:
    with pytest.raises(RequestError) as raised:
        parse({"body": PIXELS, **beside}, {}, InputType.MEDIA, Limits(max_bytes, max_instances=8, max_values=500))
    assert raised.value.code == code


@given(
    value=JSON_VALUES,
    kind=st.sampled_from(InputType),
    headers=st.dictionaries(
        st.sampled_from(
            ["Content-Type", "accept", "content-encoding", "explain", "inference-header-content-length", "data"]
        ),
        st.text(max_size=20) | st.sampled_from(["gzip", "text/plain; charset=utf-16", "application/json", "5", "²"]),
    ),
)
def test_no_header_breaks_the_parser(value: Any, kind: InputType, headers: dict[str, str]) -> None:
    survives({"body": orjson.dumps(value)}, headers, kind)
