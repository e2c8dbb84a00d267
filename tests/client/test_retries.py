"""Calls that the server had no room for, over both protocols, waiting or not."""

import dataclasses
from time import monotonic

import pytest

from client import TooManyRequests, Unavailable, Unreachable
from client.errors import error_for, unreachable
from client.retries import FIRST, LONGEST, pause
from tests.client.fake_server import FakeServer
from tests.client.waiting import ALL, Make


@ALL
def test_a_refused_call_is_sent_again(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server, max_retries=2) as client:
        assert client.predict("busy-2", b"x").json()["body"]
        assert len(fake_server.requests) == 3
        with pytest.raises(Unavailable, match="the queue is full"):
            client.predict("busy-3", b"x")
    assert len(fake_server.requests) == 6


@ALL
def test_by_default_the_caller_decides(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client, pytest.raises(Unavailable) as raised:
        client.predict("busy-1", b"x")
    assert (raised.value.retry_after, raised.value.request_id) == (0.0, "id-1")
    assert len(fake_server.requests) == 1


@ALL
def test_the_server_s_time_is_waited_for_within_the_deadline(fake_server: FakeServer, make: Make) -> None:
    fake_server.retry_after = "1"
    with make(fake_server.server, max_retries=5) as client:
        started = monotonic()
        client.predict("busy-1", b"x")
        assert monotonic() - started >= 1
        started = monotonic()
        with pytest.raises(Unavailable, match="the queue is full"):
            client.predict("busy-2", b"x", timeout=0.9)
        assert monotonic() - started < 0.9


@ALL
def test_nobody_listens(fake_server: FakeServer, make: Make) -> None:
    dead = dataclasses.replace(fake_server.server, inference="http://127.0.0.1:9", grpc="127.0.0.1:9")
    started = monotonic()
    with make(dead, max_retries=9) as client, pytest.raises(Unreachable):
        client.predict("echo", b"x")
    assert monotonic() - started < 5


@ALL
def test_each_answer_and_error_has_the_request_s_id(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        assert client.predict("echo", b"x").request_id == "id-1"
        with pytest.raises(Exception, match="what and why") as raised:
            client.predict("error-422", b"x")
    assert raised.value.request_id == "id-2"  # type: ignore[attr-defined]


def test_pauses() -> None:
    refused = error_for(503, "Unavailable", "full")
    assert isinstance(refused, Unavailable)
    for attempt, most in enumerate((FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, LONGEST, LONGEST)):
        waits = [pause(refused, attempt) or 0.0 for _ in range(50)]
        assert most / 2 <= min(waits) < max(waits) <= most
    assert pause(unreachable("gone"), 0) is None
    limited = error_for(429, "TooManyRequests", "rate")
    assert isinstance(limited, TooManyRequests)
    limited.retry_after = 3.0
    assert pause(limited, 5) == 3.0
