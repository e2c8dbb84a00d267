"""The model that a call of OpenAI's API names, found in its body as a JSON parser would; and the list of models."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from client.model_status import ModelStatus
from client.server import Server
from deploy.status import Status
from deploy.surface.http import reply_to
from deploy.surface.models import Models
from deploy.surface.openai.errors import rewritten
from deploy.surface.openai.named import in_form, in_json, is_name

VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(['"model"', "model", '"model": "x"', "}{]["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "a", "{", '"']), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["model", "a", "models", 'model"', "{"]), VALUES), st.sampled_from([None, 2]))
def test_json(value: dict[str, Any], indent: int | None) -> None:
    wanted = value.get("model")
    found = in_json(json.dumps(value, indent=indent).encode())
    if isinstance(wanted, str) and "\\" not in json.dumps(wanted):
        assert found == wanted
    else:
        assert found is None


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    in_json(body)
    in_form(body, "multipart/form-data; boundary=x")


@pytest.mark.parametrize("body", [
    b'"' + b'\\"' * 2_000_000, b'{"a":' * 800_000, b'""' * 2_000_000, b'{"model":' + b" " * 4_000_000,
])  # fmt: skip
def test_hostile_bodies_take_time_in_proportion(body: bytes) -> None:
    began = time.process_time()
    assert in_json(body) is None
    assert time.process_time() - began < 5


def test_forms() -> None:
    file = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nno\r\n'
    for fields in ({"model": "m", "language": "de"}, {"language": "de", "model": "m"}):
        request = requests.Request("POST", "http://x", data=fields, files={"file": ("a.wav", file)}).prepare()
        assert isinstance(request.body, bytes)
        assert in_form(request.body, request.headers["Content-Type"]) == "m"
    assert in_form(file, "multipart/form-data; boundary=x") is None  # it has no end
    assert in_form(file + b"--x--", "multipart/form-data; boundary=x") == "no"
    assert in_form(file + b"--x--", f"multipart/form-data; boundary={'x' * 100}") is None


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a%2fb", "a?b", "a.explain", "é", "a\n", "a" * 200])
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_name(name)
    assert is_name("tiny-writer_1.0")


def test_an_error_of_torchserve_s() -> None:
    body = b'{\n  "code": 404,\n  "type": "ModelNotFoundException",\n  "message": "Model not found: x"\n}\n'
    error = {"message": "Model not found: x", "type": "ModelNotFoundException", "param": None, "code": 404}
    assert json.loads(rewritten(body, 404)) == {"error": error}
    assert rewritten(b'{"error":{}}', 400) == b'{"error":{}}'
    assert json.loads(rewritten(b"<html>", 500))["error"]["code"] == 500


def test_models(tiny_archive: Callable[[str], Path]) -> None:
    archive = tiny_archive("tiny-writer")
    status = Status(Server(), archive.parent, ["tiny-writer"])
    status.models = [
        ModelStatus(name, "1.0", file, 1, 1, 1, 1, 0, 1, ())
        for name, file in (("tiny-writer", archive.name), ("tiny-writer.explain", archive.name), ("gone", "gone.mar"))
    ]
    models = Models(status)

    def get(path: str) -> tuple[int, Any]:
        reply = reply_to(path, models)
        assert reply is not None
        return reply.code, json.loads(reply.body)

    code, found = get("/v1/models")
    assert (code, found["object"], found["models"]) == (200, "list", ["gone", "tiny-writer"])
    assert [each["task"] for each in found["data"]] == ["", "text-generation"]
    code, one = get("/v1/models/tiny-writer")
    assert (code, one) == (200, {**found["data"][1], "name": "tiny-writer", "ready": False})
    for path in ("/v1/models/nothing", "/v1/models/tiny-writer.explain", "/v1/models/..%2fx"):
        code, body = get(path)
        assert (code, body["error"]["code"]) == (404, 404)
    assert reply_to("/v1/models/a/b", models) is None
    assert reply_to("/v1/models/a:predict", models) is None
