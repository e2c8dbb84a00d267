"""OpenAI's API without an edge, at the status's port, asked by OpenAI's own client."""

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
import requests
import soundfile

from client import RestClient
from deploy.ports import HOST, Ports
from tests.inputs import RATE, noise
from tests.peers.openai_answers import check
from tests.peers.run import run
from tests.tiny_artifacts import TINY

CHAT = "/v1/chat/completions"
TURNS = [{"role": "user", "content": "Ja"}]


@pytest.fixture(scope="module")
def address(ports: Ports) -> str:
    return f"{HOST}:{ports.status}"


@pytest.fixture(scope="module")
def key(rest: RestClient) -> str:
    return rest._credentials.bearer("inference") or ""


def test_openai_s_client(address: str, key: str, rest: RestClient, tmp_path: Path) -> None:
    audio = tmp_path / "speech.wav"
    soundfile.write(audio, noise(2.5, 0), RATE, subtype="PCM_16")
    found = run("openai_client", f"http://{address}", key.removeprefix("Bearer "), "", str(audio))

    def ask(model: str, data: Any, **parameters: Any) -> Any:
        return rest.predict(model, data, parameters=parameters).json()

    check(found, ask, audio)
    assert found["models"] == sorted(TINY)
    assert found["refused"]["key"][1] in (400, 401)  # as TorchServe says it


@pytest.mark.parametrize("model", [name for name in TINY if name not in ("tiny-writer",)])
def test_a_model_of_another_task(address: str, key: str, model: str) -> None:
    answer = requests.post(
        f"http://{address}{CHAT}", json={"model": model, "messages": TURNS}, headers={"Authorization": key}, timeout=60
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "model"), answer.text


def test_pieces_come_as_they_are_written(address: str, key: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=60)
    body = json.dumps({"model": "tiny-writer", "messages": TURNS, "stream": True, "max_tokens": 30, "seed": 1,
                       "temperature": 2.0})  # fmt: skip
    connection.request("POST", CHAT, body, {"Authorization": key, "Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    events = answer.read().split(b"\n\n")
    connection.close()
    assert len(events) > 5
    assert events[-2:] == [b"data: [DONE]", b""]


@pytest.mark.parametrize(("headers", "code"), [
    ({"Content-Length": "x"}, 411), ({"Content-Length": "99999999"}, 413), ({"Content-Type": "text/plain"}, 415),
    ({"Content-Encoding": "gzip"}, 415), ({"Transfer-Encoding": "chunked"}, 411),
])  # fmt: skip
def test_requests_that_are_not_read(address: str, key: str, headers: dict[str, str], code: int) -> None:
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.putrequest("POST", CHAT)
    sent = {"Authorization": key, "Content-Type": "application/json", "Content-Length": "2", **headers}
    for name, value in sent.items():
        connection.putheader(name, value)
    connection.endheaders(b"{}")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["code"]) == (code, code)
    connection.close()
