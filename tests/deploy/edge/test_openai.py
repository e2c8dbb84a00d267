"""OpenAI's API through the edge, asked by OpenAI's own client; and what no client of it would send."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from client import RestClient
from tests.deploy.edge.caller import EXPLAINED, MODELS, Caller
from tests.inputs import RATE, noise
from tests.peers.openai_answers import check
from tests.peers.run import run

CHAT = "/v1/chat/completions"
TURNS = [{"role": "user", "content": "Ja"}]
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "speech.wav"
    soundfile.write(path, noise(2.5, 0), RATE, subtype="PCM_16")
    return path


def test_openai_s_client(caller: Caller, audio: Path) -> None:
    key, server = caller.keys["inference"].removeprefix("Bearer "), caller.server
    found = run("openai_client", server.inference, key, str(server.ca_file), str(audio))
    with RestClient(server) as client:

        def ask(model: str, data: Any, **parameters: Any) -> Any:
            return client.predict(model, data, parameters=parameters).json()

        check(found, ask, audio)
    assert found["models"] == sorted((*MODELS, EXPLAINED))
    assert found["refused"]["key"][:2] == ["AuthenticationError", 401]


def post(caller: Caller, path: str, data: Any, content_type: str = "application/json", **request: Any) -> Any:
    return caller.rest("POST", path, data=data, headers={"Content-Type": content_type}, **request)


def body(**fields: Any) -> bytes:
    return json.dumps({"messages": TURNS, "max_tokens": 1, **fields}).encode()


@pytest.mark.parametrize(("data", "code"), [
    (b'{"model": "tiny-writer"', 400),
    (b'{"model": "tiny-writer", ' + body(model="tiny-embedding")[1:], 422),
    (body(model="nothing"), 404),
    (body(model="tiny-topics.explain"), 404),
    (body(model="tiny-policy"), 422),
    (body(model="tiny-writer", messages=[{"role": "user", "content": "x" * 200_000}]), 413),
    (b'{"model": "tiny-writer", "a": ' + b"[" * 100_000, 400),
])  # fmt: skip
def test_errors_have_one_form(caller: Caller, data: bytes, code: int) -> None:
    check_error(post(caller, CHAT, data), code)


def check_error(answer: Any, code: int) -> None:
    assert answer.status_code == code, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert 0 < len(error["message"]) <= 300


@pytest.mark.parametrize(("method", "path", "code"), [
    ("GET", CHAT, 405), ("POST", "/v1/models", 405), ("POST", "/v1/images/generations", 404),
    ("GET", "/v1/models/nothing", 404), ("DELETE", "/v1/models/tiny-writer", 405),
    ("GET", "/v1/models/..%2fmodels", 400),
])  # fmt: skip
def test_other_paths(caller: Caller, method: str, path: str, code: int) -> None:
    answer = caller.rest(method, path)
    if code == 400:  # Envoy refuses the path before it has a route
        assert answer.status_code == 400
    else:
        check_error(answer, code)


def test_a_form_without_a_file(caller: Caller) -> None:
    form = {"model": (None, "tiny-whisper")}
    check_error(caller.rest("POST", "/v1/audio/transcriptions", files=form), 400)


def test_both_lists_of_models_are_one(caller: Caller) -> None:
    """OpenAI's and KServe v1's."""
    found = caller.rest("GET", "/v1/models").json()
    assert found["models"] == [each["id"] for each in found["data"]] == sorted((*MODELS, EXPLAINED))
    one = caller.rest("GET", "/v1/models/tiny-writer").json()
    assert (one["name"], one["ready"], one["id"], one["object"]) == ("tiny-writer", True, "tiny-writer", "model")
    assert one["endpoints"] == ["/v1/chat/completions", "/v1/completions"]


def test_numbers_of_vectors_are_those_of_32_bits(caller: Caller) -> None:
    asked = {"model": "tiny-embedding", "input": "Ja"}
    answer = post(caller, "/v1/embeddings", json.dumps(asked).encode()).json()
    vector = answer["data"][0]["embedding"]
    assert np.allclose(np.linalg.norm(vector), 1, atol=1e-5)
    with RestClient(caller.server) as client:
        assert vector == client.predict("tiny-embedding", "Ja").json()["embedding"]
