"""Clients for asyncio: many calls in one loop, and calls that end with their task."""

import asyncio
import base64
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from time import monotonic

import numpy as np
import pytest

from client import Answer, AsyncGrpcClient, AsyncRestClient, InvalidInput, Waveform
from tests.client.fake_server import FakeServer

Client = AsyncRestClient | AsyncGrpcClient
BOTH = pytest.mark.parametrize("make", [AsyncRestClient, AsyncGrpcClient])


def sent(answer: Answer) -> bytes:
    return base64.b64decode(answer.json()["body"])


def within(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(seconds):
            await work()

    asyncio.run(timed())


@BOTH
def test_calls_of_one_loop(fake_server: FakeServer, make: type[Client]) -> None:
    async def work() -> None:
        async with make(fake_server.server) as client:
            answers = await asyncio.gather(*(client.predict("echo", [number]) for number in range(24)))
        assert [sent(answer) for answer in answers] == [b"[%d]" % number for number in range(24)]

    within(30, work)


@pytest.mark.parametrize(("make", "model"), [(AsyncRestClient, "trickle"), (AsyncGrpcClient, "slow")])
def test_a_call_ends_with_its_task(fake_server: FakeServer, make: type[Client], model: str) -> None:
    async def work() -> None:
        async with make(fake_server.server) as client:
            task = asyncio.create_task(client.predict(model, b"x"))
            while not fake_server.requests:
                await asyncio.sleep(0.01)
            started = monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert monotonic() - started < 1
            assert await asyncio.to_thread(fake_server.left.wait, 5)  # the server has seen it
            assert sent(await client.predict("echo", b"y")) == b"y"

    within(30, work)


@BOTH
def test_a_caller_s_own_timeout(fake_server: FakeServer, make: type[Client]) -> None:
    async def work() -> None:
        async with make(fake_server.server) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.predict("slow", b"x"), 0.2)

    within(30, work)


@pytest.mark.parametrize(("make", "model"), [(AsyncRestClient, "lines"), (AsyncGrpcClient, "echo")])
def test_a_stream_that_is_left(fake_server: FakeServer, make: type[Client], model: str) -> None:
    async def work() -> None:
        async with make(fake_server.server) as client:
            async with aclosing(client.stream(model, b"x")) as pieces:
                first = await anext(pieces)
                assert b"part 0" in first.body
            assert [b"part" in piece.body async for piece in client.stream(model, b"x")] == [True] * 3

    within(30, work)


@BOTH
def test_an_input_that_cannot_be_sent(fake_server: FakeServer, make: type[Client]) -> None:
    async def work() -> None:
        async with make(fake_server.server) as client:
            with pytest.raises(ValueError, match=r"the array has nan at \[0\]"):
                await client.predict("echo", np.array([np.nan]))
            with pytest.raises(InvalidInput, match="what and why"):
                await client.predict("error-422", np.array([1.0]))
        assert len(fake_server.requests) == 1

    within(30, work)


@BOTH
def test_inputs_are_encoded_beside_the_loop(fake_server: FakeServer, make: type[Client]) -> None:
    threads: list[threading.Thread] = []

    class Watched(Waveform):
        def encoded(self) -> tuple[bytes, str]:
            threads.append(threading.current_thread())
            return super().encoded()

    async def work() -> None:
        async with make(fake_server.server) as client:
            assert sent(await client.predict("echo", Watched(np.zeros(8), 8000))).startswith(b"RIFF")

    within(30, work)
    assert threads
    assert threading.main_thread() not in threads
