"""Every form a request can take, and what is said to a bad one."""

import base64
import gzip
import json
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType, Payload, Request
from handlers.protocol.request import parse

PIXELS = b"\x89PNG not really"
B64 = base64.b64encode(PIXELS).decode()
LIMIT = 1000
LIMITS = Limits(max_bytes=LIMIT, max_instances=8, max_values=500)


def read(row: dict[str, Any], headers: dict[str, Any] | None = None, kind: InputType = InputType.MEDIA) -> Request:
    return parse(row, headers or {}, kind, LIMITS)


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
        ({"body": b"[" * 240}, {}, InputType.TENSOR, MalformedInput, "not JSON"),
        ({"body": b'"%%%"'}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "base64"),
        ({"body": b'{"dota": "x"}'}, {"content-type": "application/json"}, InputType.MEDIA, MalformedInput, "dota"),
        ({"body": b"7"}, {"content-type": "application/json"}, InputType.MEDIA, InvalidInput, "a number; wanted"),
        ({"body": b"null"}, {"content-type": "application/json"}, InputType.TEXT, InvalidInput, "null"),
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


@pytest.mark.parametrize("value", ["seven", "0", "11", "2.5", "nan", "9" * 5000, True, [1], {"a": 1}])
def test_bad_numbers(value: Any) -> None:
    with pytest.raises(InvalidInput, match="top_k"):
        Payload(b"x", "", {"top_k": value}).integer("top_k", 5, 1, 10)


def test_a_null_parameter_counts_as_not_sent() -> None:
    parameters = {"top_k": None, "seed": None}
    payload = as_json({"inputs": B64, "parameters": parameters}).payloads[0]
    assert payload.integer("top_k", 5, 1, 10) == 5
    assert "seed" not in payload.parameters
    payload.check_parameters()


@pytest.mark.parametrize(
    ("value", "dialect", "texts"),
    [
        ({"inputs": "a", "parameters": {"top_k": 2}}, "plain", ["a"]),  # Hugging Face
        ({"inputs": ["a", "b"], "parameters": {"top_k": 2}}, "v1", ["a", "b"]),
        ({"inputs": {"context": "a", "top_k": 2}}, "plain", ["a"]),
        ({"instances": ["a", {"text": "b"}], "parameters": {"top_k": 2}}, "v1", ["a", "b"]),  # Vertex AI
        ({"text": "a", "parameters": {"top_k": 2}}, "plain", ["a"]),
        ({"text": "a", "parameters": {"top_k": 3}, "top_k": 2}, "plain", ["a"]),
        ({"text": "a", "parameters": None, "top_k": 2}, "plain", ["a"]),
        (
            {"inputs": [{"shape": [1], "datatype": "BYTES", "data": ["a"], "parameters": {"top_k": 2}}], "outputs": []},
            "v2",
            ["a"],
        ),
        ({"inputs": [{"shape": [1], "datatype": "BYTES", "data": ["a"]}], "top_k": 2}, "v2", ["a"]),
    ],
)
def test_parameters_wherever_a_dialect_has_them(value: Any, dialect: str, texts: list[str]) -> None:
    request = as_json(value, InputType.TEXT)
    assert (request.dialect, [payload.data for payload in request.payloads]) == (dialect, texts)
    assert [payload.parameters for payload in request.payloads] == [{"top_k": 2}] * len(texts)


def test_a_parameter_nobody_looks_for_is_named() -> None:
    payload = as_json({"text": "a", "parameters": {"topk": 2, "stream": True}}, InputType.TEXT).payloads[0]
    payload.integer("top_k", 5, 1, 10)
    with pytest.raises(InvalidInput, match='"topk": not a parameter of this request; parameters here: top_k'):
        payload.check_parameters()


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
        ({"inputs": [{"shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]}, 415),
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
        parse({"body": body}, {"Content-Type": "application/json"}, kind, limits)
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


def form(content_type: str, data: bytes, kind: InputType, name: str = "data") -> Request:
    """A form's part as TorchServe hands it over: the last parameter of its type stands for the type."""
    headers = {"Content-Type": "multipart/form-data; boundary=x", name: {"content-type": content_type}}
    return read({name: data}, headers, kind)


@pytest.mark.parametrize("content_type", ["codecs=opus", 'codecs="opus"', 'name="a b', "name=x/y.jpg", "", "charset"])
def test_a_part_whose_type_is_not_one_is_taken_by_its_bytes(content_type: str) -> None:
    assert form(content_type, PIXELS, InputType.MEDIA).payloads[0] == Payload(PIXELS, "", {})
    as_object = orjson.dumps({"image": B64, "top_k": 3})
    assert form(content_type, as_object, InputType.MEDIA).payloads[0] == Payload(PIXELS, "", {"top_k": 3})
    assert form(content_type, b"[1, 2]", InputType.TENSOR).payloads[0].data == [1, 2]
    assert form(content_type, b"so {it} is", InputType.TEXT).payloads[0].data == "so {it} is"
    with pytest.raises(MalformedInput, match="not UTF-8"):
        form(content_type, b"\xff\xd8\xff", InputType.TEXT)


def test_json_in_a_file_without_a_type() -> None:
    """curl sends a .json file so."""
    for content_type in ("application/octet-stream", "profile=x"):
        assert form(content_type, b'{"text": "a"}', InputType.TEXT).payloads[0].data == "a"
        assert form(content_type, b'{"data": [1]}', InputType.TENSOR).payloads[0].data == [1]
    assert form("", b'{"text": "a"}', InputType.TEXT).payloads[0].data == '{"text": "a"}'  # a field's value is a text


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


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ('"UTF-8"', "utf-8-sig"),
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("Windows-1251", "cp1251"),
        ("UTF-16", "utf-16"),
        ("utf-16le", "utf-16-le"),
        ("Shift_JIS", "shift_jis"),
        ("us-ascii", "ascii"),
    ],
)
@pytest.mark.parametrize("as_object", [True, False])
def test_a_declared_charset_is_decoded(charset: str, codec: str, as_object: bool) -> None:
    said = {"cp1251": "вокзал", "shift_jis": "駅はどこ", "ascii": "station"}.get(codec, "grüße")
    body = (f'{{"text": "{said}"}}' if as_object else said).encode(codec)
    declared = f"{'application/json' if as_object else 'text/plain'}; format=flowed; charset={charset}"
    for row, headers in (({"body": body}, {"Content-type": declared}), ({"body": body, "content-type": declared}, {})):
        assert read(row, headers, InputType.TEXT).payloads[0].data == said


@pytest.mark.parametrize("charset", ["binary", "nosuch", "idna", "hex", "utf-7", "../x", "a" * 999, "unicode_escape"])
@pytest.mark.parametrize("media", ["text/plain", "application/json"])
def test_an_unknown_charset_is_unsupported(charset: str, media: str) -> None:
    with pytest.raises(UnsupportedMedia, match="charset") as raised:
        read({"body": b'"x"'}, {"content-type": f"{media};charset={charset}"}, InputType.TEXT)
    assert len(raised.value.message) <= 300
    assert read({"body": PIXELS}, {"content-type": f"image/png;charset={charset}"}).payloads[0].data == PIXELS


def test_bytes_that_are_not_of_the_declared_charset() -> None:
    for charset in ("us-ascii", "utf-16", "euc-jp"):
        with pytest.raises(MalformedInput, match="is not"):
            read({"body": b"\xe9\xff\x00"}, {"content-type": f"text/plain; charset={charset}"}, InputType.TEXT)


def test_json_with_a_byte_order_mark() -> None:
    assert read({"body": b"\xef\xbb\xbf[1]"}, {}, InputType.TENSOR).payloads[0].data == [1]


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_gzip_body_is_inflated(encoding: str) -> None:
    headers = {"content-type": "image/png", "Content-Encoding": encoding}
    assert read({"body": gzip.compress(PIXELS, mtime=0)}, headers).payloads[0].data == PIXELS
    assert read({"body": PIXELS}, headers | {"Content-Encoding": "identity"}).payloads[0].data == PIXELS


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (gzip.compress(bytes(LIMIT + 1), mtime=0), "gzip", 413),
        (gzip.compress(bytes(50 << 20), mtime=0), "gzip", 413),
        (gzip.compress(PIXELS, mtime=0)[:-9], "gzip", 400),
        (PIXELS, "gzip", 400),
        (gzip.compress(PIXELS, mtime=0) * 2, "gzip", 400),
        (zlib.compress(PIXELS), "deflate", 415),
        (PIXELS, "br", 415),
        (PIXELS, "zstd", 415),
        (gzip.compress(gzip.compress(PIXELS, mtime=0), mtime=0), "gzip, gzip", 415),
        (PIXELS, "x" * 5000, 415),
    ],
)
def test_other_content_encodings(body: bytes, encoding: str, code: int) -> None:
    limits = Limits(max_bytes=LIMIT if len(body) <= LIMIT else 60_000, max_instances=1, max_values=9)
    with pytest.raises(RequestError) as raised:
        parse({"body": body}, {"content-type": "image/png", "content-encoding": encoding}, InputType.MEDIA, limits)
    assert raised.value.code == code, raised.value
    assert len(raised.value.message) <= 300


@pytest.mark.parametrize("kind", InputType)
def test_what_is_not_json_where_kserve_is_spoken(kind: InputType) -> None:
    on_path = {"explain": "False"}  # TorchServe adds url_path to it on /predictions
    for headers in (
        {"content-type": "application/octet-stream", **on_path},
        {"content-type": "text/plain", **on_path},
        {"Inference-Header-Content-Length": "5"},
        {"inference-header-content-length": "²", "content-type": "application/json"},
        {"inference-header-content-length": "9", "content-type": "text/plain"},
    ):
        with pytest.raises(UnsupportedMedia, match="application/json"):
            read({"body": b'"binary' + bytes(2)}, headers, kind)
    body = orjson.dumps({"instances": [[1]] if kind is InputType.TENSOR else ["eA=="]})
    for headers in ({**on_path}, {"Inference-Header-Content-Length": str(len(body))}):
        assert read({"body": body}, headers, kind).dialect == "v1"
    assert read({"body": PIXELS}, {"content-type": "image/png", **on_path, "url_path": ""}).payloads[0].data == PIXELS


def test_json_by_its_other_names() -> None:
    for content_type in ("text/json", "application/vnd.api+json", "application/json; charset=utf-8"):
        assert read({"body": b'{"text": "a"}'}, {"content-type": content_type}, InputType.TEXT).payloads[0].data == "a"


@given(data=st.binary(min_size=1, max_size=90), safe=st.booleans(), pad=st.booleans(), width=st.integers(1, 80))
def test_base64_as_senders_write_it(data: bytes, safe: bool, pad: bool, width: int) -> None:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(data).decode()
    text = text if pad else text.rstrip("=")
    lines = "\r\n".join(text[i : i + width] for i in range(0, len(text), width))
    assert as_json({"b64": lines}).payloads[0].data == data


@pytest.mark.parametrize("text", ["a", "ab=c", "aü==", "ab!c", "ab\x00c"])
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(MalformedInput, match="base64"):
        as_json({"b64": text})


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
