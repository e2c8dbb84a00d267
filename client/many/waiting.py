"""Many calls from synchronous code, made by an event loop in a temporary thread."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from client.answer import Answer
from client.inference import AsyncInference, Inference
from client.many.asynchronous import Slots
from client.many.batch import Batch, Result

Answers = Generator[Answer, None, None]
Results = Generator[Result, None, None]


class WaitingInference(Inference[Answer, Answers, Results]):
    """The methods of a synchronous client."""

    def __init__(self) -> None:
        self._batches: WeakSet[Results] = WeakSet()

    @abstractmethod
    def _for_event_loop(self) -> AsyncInference:
        """An asyncio client of the same server."""

    def _ask_many(self, batch: Batch) -> Results:
        made = results(self._for_event_loop, batch)
        self._batches.add(made)
        return made

    def _end_batches(self) -> None:
        for batch in list(self._batches):
            with suppress(ValueError):  # another thread is running it
                batch.close()


def results(make: Callable[[], AsyncInference], batch: Batch) -> Results:
    """Yield results in the order of the calls. Cancels all calls in flight if the caller stops early."""
    pending: deque[Future[Result]] = deque()
    with batch.shown() as shown, LoopThread(make()) as thread:
        slots = Slots(thread.client._ask, batch.concurrency)
        for call in batch.calls:
            pending.append(thread.submit(slots.run(call)))
            while pending and (pending[0].done() or len(pending) == batch.ahead):
                yield pending.popleft().result()
                shown()
        while pending:
            yield pending.popleft().result()
            shown()


class LoopThread:
    """An event loop with a client in a thread; on exit, running calls are cancelled and the thread ends."""

    def __init__(self, client: AsyncInference) -> None:
        self.client = client
        self._ready, self._stop = Event(), asyncio.Event()
        # As a daemon, the thread does not keep an exiting program waiting.
        self._thread = Thread(target=lambda: asyncio.run(self._work()), name="predict_many", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.client:
            self._ready.set()
            await self._stop.wait()
            under_way = asyncio.all_tasks() - {asyncio.current_task()}
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
