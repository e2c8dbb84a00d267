"""Encodes requests without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from client.payload import Payload

T = TypeVar("T")


async def encoded(payload: Payload, write: Callable[[], T]) -> T:
    """Return the result of `write`, run in a thread if the payload has to be read from disk or encoded."""
    return write() if isinstance(payload, (bytes, str)) else await asyncio.to_thread(write)
