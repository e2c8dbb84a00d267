"""Hostile and broken inputs: a clear 4xx over both protocols, and the model goes on answering."""

import json
import struct
import zlib
from typing import Any

import pytest

from client import ClientError
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, encoded, noise, recording

PNG, JPEG = encoded(IMAGES[2]), encoded(IMAGES[2], "JPEG")
JSON = "application/json"


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that claims side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")
    )


CASES: list[tuple[str, Any, str | None, int]] = [
    # model, input, its content type, code
    ("tiny-image", b"", "image/png", 400),
    ("tiny-image", JPEG[: len(JPEG) // 2], None, 400),
    ("tiny-image", JPEG[:20], None, 400),
    ("tiny-image", b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, None, 400),
    ("tiny-image", b"\0\0\0\x18ftypheic" + bytes(100), "image/heic", 415),
    ("tiny-image", bomb(60_000), None, 413),
    ("tiny-image", bytes(17 << 20), "image/png", 413),
    ("tiny-image", b"plain words", "text/plain", 415),
    ("tiny-image", recording(noise(0.1, 0)), None, 415),
    ("tiny-image", b'{"data": "not base64!"}', JSON, 400),
    ("tiny-image", b"{}", JSON, 400),
    ("tiny-image", b"[[1, 2], [3]]", JSON, 422),
    ("tiny-image", b'{"data": 7}', JSON, 422),
    ("tiny-audio", b"RIFF\x00\x00\x00\x00WAVE", None, 400),
    ("tiny-audio", recording(noise(5.1, 0)), None, 413),
    ("tiny-audio", PNG, None, 415),
    ("tiny-audio", b'{"data": [0.1, NaN], "sample_rate": 16000}', JSON, 400),
    ("tiny-audio", b'{"data": [0.1, null], "sample_rate": 16000}', JSON, 422),
    ("tiny-audio", b'{"data": [], "sample_rate": 16000}', JSON, 422),
    ("tiny-voice", b"RIFF\x00\x00\x00\x00WAVE", None, 400),
    ("tiny-voice", recording(noise(20.1, 0)), None, 413),
    ("tiny-commands", b'{"data": [], "sample_rate": 16000}', JSON, 422),
    ("tiny-sound", PNG, None, 415),
    ("tiny-text", b"", "text/plain", 400),
    ("tiny-text", " \n\t ", None, 422),
    ("tiny-text", b"\xff\xfe\x00", "text/plain", 400),
    ("tiny-text", "x" * 501, None, 413),
    ("tiny-text", PNG, None, 415),
    ("tiny-text", b'{"text": 5}', JSON, 422),
    ("tiny-policy", b"[0.1, 0.2, 0.3]", JSON, 422),
    ("tiny-policy", b"[1e39, 0, 0, 0]", JSON, 422),
    ("tiny-policy", b'["a", 0, 0, 0]', JSON, 422),
    ("tiny-policy", b"[[0, 0, 0, 0], [0, 0, 9, 0]]", JSON, 422),
    ("tiny-policy", json.dumps([[0.0] * 4] * 257).encode(), JSON, 413),
    ("tiny-values", b'{"data": [0, 0], "deterministic": false}', JSON, 422),
    ("tiny-policy", b"[" * 100_000, JSON, 400),
    ("tiny-policy", json.dumps([0.1] * 200_000).encode(), JSON, 413),
    ("tiny-policy", json.dumps([0.1] * 300_000).encode(), JSON, 413),
    ("tiny-policy", b'{"instances": []}', JSON, 400),
    ("tiny-policy", b'{"inputs": [{"name": "o", "shape": [2, 4], "datatype": "FP32", "data": [1]}]}', JSON, 422),
    ("tiny-policy", PNG, None, 415),
]
NAMES = [f"{index} {case[0]} {case[2]} {case[3]}" for index, case in enumerate(CASES)]
FINE: dict[str, Any] = {
    "tiny-image": PNG,
    "tiny-audio": recording(noise(0.5, 0)),
    "tiny-voice": recording(noise(0.5, 0)),
    "tiny-commands": recording(noise(0.5, 0)),
    "tiny-sound": recording(noise(0.5, 0)),
    "tiny-text": "🚉 ‮ \u0000 é",
    "tiny-policy": {"data": [0.1, 0.2, 0.3, 0.4]},
    "tiny-values": {"data": [0.1, 0.2]},
}


@pytest.mark.parametrize(("model", "payload", "content_type", "code"), CASES, ids=NAMES)
def test_a_clear_refusal(client: Predict, model: str, payload: Any, content_type: str | None, code: int) -> None:
    with pytest.raises(ClientError) as raised:
        client.predict(model, payload, content_type=content_type)
    assert raised.value.code == code, raised.value
    assert 10 < len(raised.value.message) <= 300
    assert "Traceback" not in raised.value.message
    client.predict(model, FINE[model])


def test_more_than_the_server_takes(client: Predict) -> None:
    with pytest.raises(ClientError) as raised:
        client.predict("tiny-image", bytes(25 << 20), content_type="image/png")
    assert raised.value.code == 413
    client.predict("tiny-image", PNG)


def test_an_answer_nobody_can_give(client: Predict) -> None:
    with pytest.raises(ClientError) as raised:
        client.predict("tiny-text", "fine", accept="image/png")
    assert raised.value.code == 406


@pytest.mark.parametrize("parameters", [{"top_k": 0}, {"top_k": 9}, {"top_k": "many"}, {"top_k": float("nan")}])
def test_bad_parameters(client: Predict, parameters: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as raised:
        client.predict("tiny-image", PNG, parameters=parameters)
    assert raised.value.code == 422
    assert "top_k" in raised.value.message


def test_a_model_nobody_has(client: Predict) -> None:
    with pytest.raises(ClientError) as raised:
        client.predict("nothing", "x")
    assert raised.value.code == 404
