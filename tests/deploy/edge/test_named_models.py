"""The model of a call of OpenAI's API, as the edge finds it in the body; the servers say what they were asked."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.surface.openai.named import in_json, is_name
from deploy.surface.openai.paths import MAX_JSON
from tests.deploy.envoy.mirrored_edge import Edge, mirrored

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with mirrored(tmp_path_factory.mktemp("named")) as made:
        yield made


def post(edge: Edge, data: Any, content_type: str = "application/json", path: str = CHAT) -> requests.Response:
    return edge.session.post(f"{edge.address}{path}", data=data, headers={"content-type": content_type}, timeout=20)


@pytest.mark.parametrize("data", [
    b'{"model": "my-writer"}',
    b'{"metadata": {"model": "nothing"}, "messages": [{"content": "\\"model\\": \\"no\\", {["}], "user": "model", '
    b'"model" : \n"my-writer"}',
    json.dumps({"user": '\\" {"model": "x"', "a": ["model", {"model": 1}], "model": "my-writer"}).encode(),
])  # fmt: skip
def test_the_model_is_found_wherever_it_stands(edge: Edge, data: bytes) -> None:
    assert in_json(data) == "my-writer"
    assert post(edge, data).json()["path"] == "/predictions/my-writer"


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.sampled_from(['"model"', "model", '"model": "x"', "}{]["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "a", "{", '"']), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["model", "a", "models", 'model"', "{"]), VALUES).map(json.dumps)
    | st.text('"\\{}[]:, model', max_size=30)
    | st.from_regex(r'\{"model": "[a-z./%?]{0,6}"\}', fullmatch=True)
)
@settings(max_examples=150, derandomize=True, suppress_health_check=list(HealthCheck))
def test_both_ways_to_a_model_agree(edge: Edge, text: str) -> None:
    found = in_json(text.encode())
    answer = post(edge, text.encode())
    if found is None:
        check_error(answer, 400)
    elif is_name(found):
        assert answer.json()["path"] == f"/predictions/{found}"
    else:
        check_error(answer, 404)


@pytest.mark.parametrize(("data", "code"), [
    (b"", 400),
    (b"{", 400),
    (b'["model", "my-writer"]', 400),
    (b'{"model": 7}', 400),
    (b'{"mod\\u0065l": "my-writer"}', 400),
    (b'{"model": "my-writer', 400),
    (b'{"model": ""}', 404),
    (b'{"model": ".."}', 404),
    (b'{"model": "../models/my-writer"}', 404),
    (b'{"model": "my-writer/1.0"}', 404),
    (b'{"model": "my%2dwriter"}', 404),
    (b'{"model": "%2e%2e/ping"}', 404),
    (b'{"model": "my-writer?x=1"}', 404),
    (b'{"model": "my-writer\\u002f1.0"}', 400),
    (b'{"model": "my-topics.explain"}', 404),
    (json.dumps({"model": "x" * 200}).encode(), 404),
    (b" " * (MAX_JSON + 1), 413),
    (b"[" * 1_000_000, 400),
    (b'{"a":"' + b"\\" * 1_000_000, 400),
])  # fmt: skip
def test_bodies_without_a_model(edge: Edge, data: bytes, code: int) -> None:
    check_error(post(edge, data), code)


def check_error(answer: requests.Response, code: int) -> None:
    assert answer.status_code == code, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert 0 < len(error["message"]) <= 300
    assert error["type"].isalpha()
    assert error["type"] != "EdgeError"


FILE = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nno\r\n--x--'


@pytest.mark.parametrize("fields", [{"model": "my-ear", "language": "de"}, {"language": "de", "model": "my-ear"}])
def test_forms(edge: Edge, fields: dict[str, str]) -> None:
    url = f"{edge.address}/v1/audio/transcriptions"
    answer = edge.session.post(url, data=fields, files={"file": ("a.wav", FILE)}, timeout=20)
    assert answer.json()["path"] == "/predictions/my-ear"


@pytest.mark.parametrize(("path", "data", "content_type", "code"), [
    (CHAT, b'{"model": "m"}', "text/plain", 415),
    (CHAT, FILE, "multipart/form-data; boundary=x", 415),
    ("/v1/audio/transcriptions", b'{"model": "m"}', "application/json", 415),
    ("/v1/audio/transcriptions", FILE, "multipart/form-data", 415),
    ("/v1/audio/transcriptions", FILE, f"multipart/form-data; boundary={'-' * 71}", 400),
    ("/v1/audio/transcriptions", FILE.replace(b"model", b"other"), "multipart/form-data; boundary=x", 400),
    ("/v1/audio/transcriptions", FILE.replace(b"--x--", b""), "multipart/form-data; boundary=x", 400),
    ("/v1/audio/transcriptions", FILE.replace(b"no", b"../no"), "multipart/form-data; boundary=x", 404),
    ("/v1/images/generations", b"{}", "application/json", 404),
])  # fmt: skip
def test_other_bodies(edge: Edge, path: str, data: bytes, content_type: str, code: int) -> None:
    check_error(post(edge, data, content_type, path), code)


def test_methods_and_keys(edge: Edge) -> None:
    check_error(edge.session.get(f"{edge.address}{CHAT}", timeout=20), 405)
    check_error(edge.session.delete(f"{edge.address}/v1/models/my-writer", timeout=20), 405)
    data, headers = b'{"model": "m"}', {"content-type": "application/json", "authorization": "Bearer wrong"}
    check_error(edge.session.post(f"{edge.address}{CHAT}", data=data, headers=headers, timeout=20), 401)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    check_error(edge.session.post(f"{edge.address}{CHAT}", data=data, headers=headers, timeout=20), 415)


def test_versions_have_their_shares(edge: Edge) -> None:
    edge.split(versions={"1.0": 0, "2.0": 100})
    answer = post(edge, b'{"model": "model"}')
    assert answer.json()["path"] == "/predictions/model/2.0"
    assert answer.headers["model-version"] == "2.0"
