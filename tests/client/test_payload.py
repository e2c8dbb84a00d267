import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from client.answer import answer_in, error_in
from client.errors import InvalidInput
from client.payload import encode, texts


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.jpg", "image/jpeg"), ("a.png", "image/png"), ("a.webp", "image/webp"),
     ("a.wav", "audio/wav"), ("a.flac", "audio/flac"), ("a.ogg", "audio/ogg"), ("a.mp3", "audio/mpeg")],
)  # fmt: skip
def test_files_of_real_encoders_are_known_by_suffix_and_by_content(
    tmp_path: Path, name: str, content_type: str
) -> None:
    path = tmp_path / name
    if content_type.startswith("image/"):
        Image.new("RGB", (8, 8)).save(path)
    else:
        soundfile.write(path, np.zeros(16000, np.float32), 16000)
    body = path.read_bytes()
    assert encode(path) == (body, content_type)
    assert encode(body) == (body, content_type)
    bare = path.rename(tmp_path / "bare")
    assert encode(bare) == (body, content_type)
    assert encode(path.with_name("bare"), "x/y") == (body, "x/y")


def test_an_id3_tag_or_nothing_known() -> None:
    assert encode(b"ID3\x04rest")[1] == "audio/mpeg"
    assert encode(b"RIFF\0\0\0\0AVI ")[1] == "application/octet-stream"
    assert encode(b"")[1] == "application/octet-stream"


def test_text_and_json() -> None:
    assert encode("naïve") == ("naïve".encode(), "text/plain")
    assert encode("[1]") == (b"[1]", "text/plain")
    body, content_type = encode({"data": [0.5, None], "é": True})
    assert (json.loads(body), content_type) == ({"data": [0.5, None], "é": True}, "application/json")
    assert encode([1, 2]) == (b"[1,2]", "application/json")
    assert encode((1, 2)) == (b"[1,2]", "application/json")


def test_what_cannot_be_sent_is_refused_here() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode([float("nan")])
    with pytest.raises(TypeError, match="got int, wanted bytes, str, Path"):
        encode(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="body is reserved"):
        texts({"body": 1})


def test_parameters_are_text() -> None:
    assert texts({"top_k": 3, "score_threshold": 0.5, "deterministic": True}) == {
        "top_k": "3",
        "score_threshold": "0.5",
        "deterministic": "true",
    }
    assert texts(None) == {}


def test_exactly_the_error_object_is_an_error() -> None:
    error = error_in(b'{"code": 422, "type": "InvalidInput", "message": "what"}')
    assert isinstance(error, InvalidInput)
    assert str(error) == "422 InvalidInput: what"


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 200, "type": "a", "message": "b"}',
        b'{"code": "422", "type": "a", "message": "b"}',
        b'{"code": 422, "type": "a", "message": "b", "more": 1}',
        b'{"code": 422, "message": "b"}',
        b'{"predictions": []}',
        b'[{"code": 422, "type": "a", "message": "b"}]',
        b"{",
        b"",
        b"\x89PNG",
    ],
)  # fmt: skip
def test_anything_else_is_an_answer(body: bytes) -> None:
    assert error_in(body) is None
    assert answer_in(body).body == body


def test_the_type_of_a_grpc_answer_is_read_off_its_bytes() -> None:
    assert answer_in(b'{"a": 1}').json() == {"a": 1}
    assert answer_in(b"[1]").content_type == "application/json"
    assert answer_in(b"\x89PNG\r\n\x1a\n").content_type == "image/png"
    assert answer_in(b"part").content_type == ""
