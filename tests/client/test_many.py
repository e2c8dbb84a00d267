"""predict_many of all four clients: order, errors, bounds, progress, refusals, and an end in the middle."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from client import Answer, GrpcClient, InvalidInput, RestClient
from tests.client.fake_server import FakeServer
from tests.client.waiting import ALL, Make, async_grpc, async_rest


def sent(result: Any) -> bytes:
    assert isinstance(result, Answer), repr(result)
    return base64.b64decode(result.json()["body"])


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "predict_many"]


@ALL
def test_results_come_in_order_with_the_errors_in_their_places(
    fake_server: FakeServer, make: Make, tmp_path: Path
) -> None:
    payloads: list[Any] = [[number] for number in range(30)]
    payloads[7], payloads[11], payloads[13] = np.array([np.nan]), tmp_path / "gone.jpg", object()
    with make(fake_server.server) as client:
        results = list(client.predict_many("echo", payloads, concurrency=5))
        refused = list(client.predict_many("error-422", [[1], [2]]))
    assert len(results) == 30
    assert [type(results[number]) for number in (7, 11, 13)] == [ValueError, FileNotFoundError, TypeError]
    assert [sent(results[n]) for n in range(30) if n not in (7, 11, 13)] == [
        b"[%d]" % n for n in range(30) if n not in (7, 11, 13)
    ]
    assert [type(each) for each in refused] == [InvalidInput, InvalidInput]


@ALL
def test_a_stream_of_inputs_without_end(fake_server: FakeServer, make: Make) -> None:
    taken = 0

    def payloads() -> Iterator[list[int]]:
        nonlocal taken
        for taken in count(1):
            yield [taken]

    with (
        make(fake_server.server) as client,
        closing(client.predict_many("counted", payloads(), concurrency=3)) as results,
    ):
        assert [sent(next(results)) for _ in range(40)] == [b"[%d]" % number for number in range(1, 41)]
        assert taken <= 40 + 4 * 3
    assert 2 <= fake_server.most_at_once <= 3
    assert threads() == []


@ALL
def test_a_server_without_room_is_waited_for(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        results = list(client.predict_many("busy-9", [[number] for number in range(12)], concurrency=4))
    assert [sent(result) for result in results] == [b"[%d]" % number for number in range(12)]
    assert len(fake_server.requests) == 12 + 9


@ALL
def test_progress(fake_server: FakeServer, make: Make) -> None:
    seen: list[tuple[int, int | None]] = []

    def progress(results: int, total: int | None) -> None:
        seen.append((results, total))

    with make(fake_server.server) as client:
        list(client.predict_many("echo", [[1], [2], [3]], progress=progress))
        list(client.predict_many("echo", ([each] for each in range(2)), progress=progress))
    assert seen == [(1, 3), (2, 3), (3, 3), (1, None), (2, None)]


def test_a_bar(fake_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    with RestClient(fake_server.server) as client:
        list(client.predict_many("echo", [[1], [2], [3]], progress=True))
    printed = capsys.readouterr()
    assert "3/3" in printed.err
    assert printed.out == ""


@ALL
def test_a_wrong_concurrency(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client, pytest.raises(ValueError, match="concurrency: got 0, wanted 1 or more"):
        list(client.predict_many("echo", [[1]], concurrency=0))


@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_a_client_that_is_closed_ends_its_calls(fake_server: FakeServer, make: type[RestClient | GrpcClient]) -> None:
    with make(fake_server.server) as client:
        results = client.predict_many("counted", ([number] for number in count()))
        assert sent(next(results)) == b"[0]"
        assert threads() == ["predict_many"]
    assert threads() == []
    assert next(results, None) is None


LONG = [(RestClient, "trickle"), (GrpcClient, "slow"), (async_rest, "trickle"), (async_grpc, "slow")]


@pytest.mark.parametrize(("make", "model"), LONG)
def test_inputs_that_break_off(fake_server: FakeServer, make: Make, model: str) -> None:
    """The caller's own error is raised at once, and calls in flight are cancelled."""

    def payloads() -> Iterator[list[int]]:
        yield [0]
        yield [1]
        raise RuntimeError("no more")

    started = monotonic()
    with make(fake_server.server) as client:
        with pytest.raises(RuntimeError, match="no more"):
            list(client.predict_many(model, payloads()))
        assert monotonic() - started < 1.5
        assert threads() == []


# gRPC has a thread of its own, _poll_wrapper, one for the process.
WAITS = """
import sys, threading
from itertools import count
from client import {client}
try:
    with {client}() as client:
        for result in client.predict_many("{model}", ([each] for each in count()), concurrency=4):
            pass
finally:
    print([thread.name for thread in threading.enumerate() if "_poll_wrapper" not in thread.name])
"""
LOOPS = """
import asyncio, threading
from itertools import count
from client import {client}
async def main():
    async with {client}() as client:
        async for result in client.predict_many("{model}", ([each] for each in count()), concurrency=4):
            pass
try:
    asyncio.run(main())
finally:
    print([thread.name for thread in threading.enumerate() if "_poll_wrapper" not in thread.name])
"""


@pytest.mark.parametrize(
    ("program", "client", "model"),
    [
        (WAITS, "RestClient", "trickle"),
        (WAITS, "GrpcClient", "slow"),
        (LOOPS, "AsyncRestClient", "trickle"),
        (LOOPS, "AsyncGrpcClient", "slow"),
    ],
)
def test_an_interrupt(fake_server: FakeServer, tmp_path: Path, program: str, client: str, model: str) -> None:
    """Ctrl-C: the server sees that its callers have left, and no thread of the client's is there any more."""
    server = fake_server.server
    described = {name: getattr(server, name) for name in ("inference", "management", "grpc", "grpc_management")}
    path = tmp_path / "server.json"
    path.write_text(json.dumps({**described, "key_file": str(server.key_file)}))
    process = subprocess.Popen(
        [sys.executable, "-c", program.format(client=client, model=model)],
        env={**os.environ, "TORCHSERVE_SERVER_FILE": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = monotonic() + 60
        while len(fake_server.requests) < 4:
            assert monotonic() < end, process.communicate(timeout=10)
            sleep(0.02)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode != 0
    assert printed == "['MainThread']\n", errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert fake_server.left.wait(5)
