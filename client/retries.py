"""Decides when to retry a call that an overloaded server refused."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from client.call import Call
from client.errors import TooManyRequests, Unavailable, Unreachable

T = TypeVar("T")
FIRST, LONGEST = 0.5, 8.0  # seconds, unless the server sends Retry-After
Refusal = TooManyRequests | Unavailable


def pause(error: Refusal, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None if retrying does not help.

    The server's Retry-After, otherwise doubled each time. Random jitter subtracts up to half, so that callers refused
    at the same moment do not return at the same moment. attempt: 0 for the first.
    """
    if isinstance(error, Unreachable):
        return None
    if error.retry_after is not None:
        return error.retry_after
    return min(LONGEST, FIRST * 2.0**attempt) * random.uniform(0.5, 1)


class Client(Protocol):
    timeout: float
    max_retries: int


@dataclass
class Retries:
    """The attempts of one call within its timeout in seconds. most: maximum number of retries."""

    most: int
    timeout: float

    @classmethod
    def of(cls, call: Call, client: Client) -> Self:
        """Build it from the call, with the client's defaults."""
        most = client.max_retries if call.max_retries is None else call.max_retries
        return cls(most, call.timeout or client.timeout)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.timeout
        self._attempt = 0

    def run(self, attempt: Callable[[float], T]) -> T:
        """Return the result of `attempt`, which receives the remaining seconds."""
        left = self.timeout
        while True:
            try:
                return attempt(left)
            except (TooManyRequests, Unavailable) as error:
                time.sleep(self._wait(error))
            left = self._end - time.monotonic()

    async def run_async(self, attempt: Callable[[float], Awaitable[T]]) -> T:
        """Like `run`."""
        left = self.timeout
        while True:
            try:
                return await attempt(left)
            except (TooManyRequests, Unavailable) as error:
                await asyncio.sleep(self._wait(error))
            left = self._end - time.monotonic()

    def _wait(self, error: Refusal) -> float:
        """Seconds until the next attempt. Raises the error if there is none."""
        seconds = pause(error, self._attempt)
        if self._attempt == self.most or seconds is None or time.monotonic() + seconds >= self._end:
            raise error
        self._attempt += 1
        return seconds
