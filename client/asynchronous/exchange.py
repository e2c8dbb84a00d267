"""One HTTP request and its answer, for asyncio. Imported on the first call, because aiohttp loads slowly."""

from __future__ import annotations

import io
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from yarl import URL

from client.answer import Answer
from client.errors import deadline_exceeded, unreachable
from client.exchange import CONNECT
from client.wire.rest_response import Lines, RestResponse


def session(ca_file: Path | None = None) -> aiohttp.ClientSession:
    """A session of the running event loop. ca_file: certificates to trust instead of the system's."""
    return aiohttp.ClientSession(
        trust_env=False,  # the environment's proxies and .netrc must not see or replace the server's key
        # Callers limit the number of concurrent calls.
        connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=ca_file) if ca_file else True),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def exchange(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> Answer:
    """Post a body and wait for the complete answer. Arguments and errors as for `answering`."""
    async with answering(session, url, body, headers, timeout) as (response, content):
        return response.answer(await content.read())


async def pieces(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> AsyncGenerator[Answer, None]:
    """Yield the lines of an answer as they arrive, or one Answer if it has no lines. Raises errors among them.

    Arguments and errors as for `answering`; the timeout covers the whole answer.
    """
    async with answering(session, url, body, headers, timeout) as (response, content):
        if not response.in_lines:
            yield response.answer(await content.read())
            return
        lines = Lines(response)
        async for chunk in content.iter_any():
            for piece in lines.add(chunk):
                yield piece
        for piece in lines.end():
            yield piece


@asynccontextmanager
async def answering(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> AsyncIterator[tuple[RestResponse, aiohttp.StreamReader]]:
    """Post a body. Yields the head of the response, and its body as a stream, also for an error.

    url: with a quoted path; it is sent unchanged. timeout: seconds until the end of the response. Raises
    DeadlineExceeded after the timeout, or Unreachable. If the caller's task is cancelled, the connection is closed.
    """
    request = session.post(
        URL(url, encoded=True),
        data=io.BytesIO(body),  # aiohttp warns about large bytes objects
        headers=headers,
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT, timeout)),
    )
    try:
        async with request as response:
            yield RestResponse(response.status, response.headers, response.reason or ""), response.content
    except TimeoutError:
        raise deadline_exceeded(timeout) from None
    except aiohttp.ClientError as error:
        raise unreachable(f"{url}: {reason(error)}") from None


def reason(error: aiohttp.ClientError) -> str:
    """The innermost cause, such as "[Errno 111] Connection refused"."""
    if isinstance(error, OSError) and error.errno:
        return f"[Errno {error.errno}] {os.strerror(error.errno)}"
    return str(error) or type(error).__name__
