"""Many calls in an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

from client.answer import Answer
from client.call import Call
from client.many.batch import OF_ONE_INPUT, Batch, Result

Ask = Callable[[Call], Awaitable[Answer]]


class Slots:
    """Limits the number of concurrent calls. A call that the server refuses keeps its place while it waits."""

    def __init__(self, ask: Ask, concurrency: int) -> None:
        self._ask = ask
        self._free = asyncio.Semaphore(concurrency)

    async def run(self, call: Call) -> Result:
        async with self._free:
            try:
                return await self._ask(call)
            except OF_ONE_INPUT as error:
                return error


async def results(ask: Ask, batch: Batch) -> AsyncGenerator[Result, None]:
    """Yield results in the order of the calls. Cancels all calls in flight if the caller stops early."""
    slots = Slots(ask, batch.concurrency)
    pending: deque[asyncio.Task[Result]] = deque()
    with batch.shown() as shown:
        try:
            for call in batch.calls:
                pending.append(asyncio.create_task(slots.run(call)))
                await asyncio.sleep(0)  # lets calls proceed while the next input is created
                while pending and (pending[0].done() or len(pending) == batch.ahead):
                    yield await pending.popleft()
                    shown()
            while pending:
                yield await pending.popleft()
                shown()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
