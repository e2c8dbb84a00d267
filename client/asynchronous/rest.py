"""Predictions over REST, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from client.answer import Answer
from client.asynchronous.encoding import encoded
from client.call import TIMEOUT, Call
from client.credentials import Credentials
from client.inference import AsyncInference
from client.retries import Retries
from client.server import Server
from client.tracing import context
from client.wire.rest_request import RestRequest, deadline_headers, rest_request

if TYPE_CHECKING:
    from aiohttp import ClientSession

T = TypeVar("T")
Send = Callable[["ClientSession", str, bytes, dict[str, str], float], Awaitable[T]]


class AsyncRestClient(AsyncInference):
    """A client for predictions over REST in one event loop; close it, or use `async with`.

    If a call's task is cancelled, its connection is closed.
    """

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT, max_retries: int = 0) -> None:
        """Arguments as for RestClient."""
        self.server = server or Server.find()
        self.timeout = timeout
        self.max_retries = max_retries
        self._credentials = Credentials(self.server)
        self._session: ClientSession | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def _ask(self, call: Call) -> Answer:
        from client.asynchronous.exchange import exchange

        return await self._sent(call, await encoded(call.payload, lambda: rest_request(call)), exchange)

    async def _pieces(self, call: Call) -> AsyncGenerator[Answer, None]:
        from client.asynchronous.exchange import pieces

        async def first(*arguments: Any) -> tuple[Answer | None, AsyncGenerator[Answer, None]]:
            found = pieces(*arguments)
            return await anext(found, None), found

        request = await encoded(call.payload, lambda: rest_request(call, streams=True))
        piece, rest = await self._sent(call, request, first)
        async with aclosing(rest):
            if piece is not None:
                yield piece
                async for piece in rest:
                    yield piece

    async def _sent(self, call: Call, request: RestRequest, send: Send[T]) -> T:
        """Make one authorised call; a refused key is renewed once."""
        from client.asynchronous.exchange import session

        if self._session is None:
            self._session = session(self.server.ca_file)
        opened = self._session

        async def attempt(seconds: float) -> T:
            headers = request.headers | context() | deadline_headers(self.server, seconds)

            async def authorised(bearer: str | None) -> T:
                key = {"Authorization": bearer} if bearer else {}
                return await send(
                    opened, f"{self.server.inference}{request.path}", request.body, headers | key, seconds
                )

            return await self._credentials.authorised_async("inference", authorised)

        return await Retries.of(call, self).run_async(attempt)
