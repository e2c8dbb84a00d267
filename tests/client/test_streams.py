"""Streamed answers over both protocols, whole, broken off, or an error."""

import pytest

from client import (
    InvalidInput,
    ServerError,
)
from tests.client.fake_server import FakeServer
from tests.client.waiting import GRPC, REST, Make


@GRPC
def test_a_stream_comes_piece_by_piece(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        assert [piece.body for piece in client.stream("echo", "x")] == [b"part 0", b"part 1", b"part 2"]
        pieces = client.stream("echo", "x")
        assert next(pieces).body == b"part 0"
        pieces.close()


@GRPC
def test_a_stream_that_breaks_off(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        pieces = client.stream("breaks", "x")
        assert [next(pieces).body, next(pieces).body] == [b"part 0", b"part 1"]
        with pytest.raises(ServerError, match="Worker died"):
            next(pieces)


@REST
def test_rest_lines_come_piece_by_piece(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        assert [piece.json() for piece in client.stream("lines", "x", parameters={"seed": 1})] == [
            {"text": "part 0"},
            {"text": "part 1"},
            {"text": "part 2"},
        ]
        pieces = client.stream("lines", "x")
        assert next(pieces).json() == {"text": "part 0"}
        pieces.close()
        assert [piece.content_type for piece in client.stream("png", "x")] == ["image/png"]


@REST
@pytest.mark.parametrize(
    ("model", "before", "error"), [("lines-error", 2, InvalidInput), ("lines-breaks", 2, ServerError)]
)
def test_an_error_after_the_first_lines_is_raised(
    fake_server: FakeServer, make: Make, model: str, before: int, error: type[Exception]
) -> None:
    with make(fake_server.server) as client:
        pieces = client.stream(model, "x")
        assert [next(pieces).json()["text"] for _ in range(before)] == ["part 0", "part 1"]
        with pytest.raises(error):
            next(pieces)


@REST
def test_an_error_instead_of_a_stream(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client, pytest.raises(InvalidInput):
        next(client.stream("error-422", "x"))


@GRPC
def test_a_stream_is_asked_for_by_its_own_call(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        list(client.stream("echo", "x"))
        assert fake_server.requests[-1]["input"]["stream"] == b"StreamPredictions"
        with pytest.raises(ValueError, match="stream is reserved"):
            client.predict("echo", "x", parameters={"stream": True})
