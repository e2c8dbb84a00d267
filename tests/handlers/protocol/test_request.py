"""Every form a request can take, and what is said to a bad one."""

from typing import Any

import orjson
import pytest

from handlers.errors import InvalidInput, MalformedInput, UnsupportedMedia
from handlers.protocol.payload import InputType, Payload, Request
from tests.handlers.protocol.reading import B64, PIXELS, as_json, read


def test_raw_bytes_keep_their_content_type() -> None:
    request = read({"body": bytearray(PIXELS)}, {"CONTENT-type": "Image/PNG; q=1", "Accept": "Image/PNG"})
    assert request.payloads == [Payload(PIXELS, "image/png", {})]
    assert request.accept == "image/png"


def test_raw_bytes_without_a_type_are_media() -> None:
    assert read({"body": PIXELS}).payloads[0].content_type == ""
    for content_type in ("application/octet-stream", "binary/octet-stream", "image/*", "*/*"):
        assert read({"body": PIXELS}, {"content-type": content_type}).payloads[0].content_type == ""
        assert read({"body": b"a"}, {"content-type": content_type}, InputType.TEXT).payloads[0].data == "a"


def test_parameters_travel_beside_the_body() -> None:
    request = read({"body": PIXELS, "top_k": bytearray(b"3")})
    assert request.payloads[0].integer("top_k", 5, 1, 10) == 3


def test_parameters_of_a_query() -> None:
    """The edge hands the query over in a header."""
    for row in ({"body": PIXELS}, {"body": orjson.dumps({"image": B64}), "content-type": b"application/json"}):
        [payload] = read(row, {"X-Parameters": "top_k=3&language=de+CH&stop="}).payloads
        assert payload.parameters == {"top_k": "3", "language": "de CH", "stop": ""}
    body = orjson.dumps({"instances": [{"image": B64, "top_k": 2}, B64]})
    first, second = read({"body": body, "content-type": b"application/json"}, {"x-parameters": "top_k=3"}).payloads
    assert (first.parameters, second.parameters) == ({"top_k": 2}, {"top_k": "3"})
    for query, error in (("a=1&a=2", MalformedInput), ("data=x", InvalidInput), ("&".join("abc" * 99), InvalidInput)):
        with pytest.raises(error):
            read({"body": PIXELS}, {"x-parameters": query})


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
    assert as_json(f"DATA:image/png;name=x;BASE64,{B64}").payloads[0] == Payload(PIXELS, "image/png", {})
    assert as_json(f"data:application/octet-stream;base64,{B64}").payloads[0] == Payload(PIXELS, "", {})


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


@pytest.mark.parametrize(
    ("content_type", "kind", "taken"),
    [
        ("str", InputType.TEXT, True),
        ("base64", InputType.TEXT, False),  # the texts would be read as they are
        ("base64", InputType.MEDIA, True),
        ("np", InputType.TENSOR, True),
        ("pd", InputType.TENSOR, False),
    ],
)
def test_how_mlserver_s_clients_name_an_encoding(content_type: str, kind: InputType, taken: bool) -> None:
    elements = {"datatype": "FP32", "data": [1.0]} if kind is InputType.TENSOR else {"datatype": "BYTES", "data": [B64]}
    tensor = {"shape": [1], **elements, "parameters": {"content_type": content_type}}
    [payload] = as_json({"inputs": [tensor]}, kind).payloads
    assert payload.parameters == ({} if taken else {"content_type": content_type})


def test_a_parameter_nobody_looks_for_is_named() -> None:
    payload = as_json({"text": "a", "parameters": {"topk": 2, "stream": True}}, InputType.TEXT).payloads[0]
    payload.integer("top_k", 5, 1, 10)
    with pytest.raises(InvalidInput, match='"topk": not a parameter of this request; parameters here: top_k'):
        payload.check_parameters()


def form(content_type: str, data: bytes, kind: InputType, name: str = "data") -> Request:
    """A form's part as TorchServe hands it over: the last parameter of its type stands for the type."""
    headers = {"Content-Type": "multipart/form-data; boundary=x", name: {"content-type": content_type}}
    return read({name: data}, headers, kind)


@pytest.mark.parametrize(
    "content_type",
    ["codecs=opus", 'codecs="opus"', 'name="a b', "name=x/y.jpg", "", "charset", "image/*", "multipart/form-data"],
)
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


@pytest.mark.parametrize("kind", InputType)
def test_what_is_not_json_where_kserve_is_spoken(kind: InputType) -> None:
    on_path = {"explain": "False"}  # TorchServe adds url_path to it on /predictions
    for headers in (
        {"content-type": "application/octet-stream", **on_path},
        {"content-type": "text/plain", **on_path},
        {"content-type": "text/plain", "x-kserve": "true", "url_path": "", "explain": "False"},
    ):
        with pytest.raises(UnsupportedMedia, match="application/json"):
            read({"body": b'"binary' + bytes(2)}, headers, kind)
    body = orjson.dumps({"instances": [[1]] if kind is InputType.TENSOR else ["eA=="]})
    for headers in ({**on_path}, {"Inference-Header-Content-Length": str(len(body)), "content-type": "text/plain"}):
        assert read({"body": body}, headers, kind).dialect == "v1"
    assert read({"body": PIXELS}, {"content-type": "image/png", **on_path, "url_path": ""}).payloads[0].data == PIXELS


@pytest.mark.parametrize("kind", InputType)
@pytest.mark.parametrize(
    "declared", ["Multipart/Form-Data; Boundary=B", "multipart/form-data", "multipart/mixed; boundary=B"]
)
def test_a_form_that_was_not_taken_apart(declared: str, kind: InputType) -> None:
    """Netty knows it by small letters alone; to a text model its parts would be a text."""
    for header in ("Content-Disposition", "content-type: text/plain\r\ncontent-disposition"):
        body = f'--B\r\n{header}: form-data; name="text"\r\n\r\nhello\r\n--B--\r\n'.encode()
        with pytest.raises(MalformedInput, match=r"the form came as a whole, not as parts: .*small letters"):
            read({"body": body}, {"content-type": declared}, kind)
    part = {"content-type": "text/plain"}
    text = b"--B\r\nContent-Disposition: the text of a part"
    headers = {"content-type": "multipart/form-data; boundary=x", "text": part}
    assert read({"text": text}, headers, InputType.TEXT).payloads[0].data == text.decode()
    assert read({"body": PIXELS}, {"content-type": declared}, InputType.MEDIA).payloads[0].data == PIXELS


def test_json_by_its_other_names() -> None:
    for content_type in ("text/json", "application/vnd.api+json", "application/json; charset=utf-8"):
        assert read({"body": b'{"text": "a"}'}, {"content-type": content_type}, InputType.TEXT).payloads[0].data == "a"
