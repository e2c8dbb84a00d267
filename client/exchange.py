"""One HTTP request and its answer: the deadline, and errors as exceptions."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from client.answer import Answer
from client.errors import deadline_exceeded, unreachable
from client.wire.rest_response import Lines, RestResponse

CHUNK = 1 << 16  # bytes
CONNECT = 5.0  # seconds


def session(connections: int = 32, ca_file: Path | None = None) -> requests.Session:
    """Create a session. connections: number kept alive, and so of threads that can share it without waiting.

    ca_file: certificates to trust instead of the system's.
    """
    made = requests.Session()
    made.trust_env = False  # the environment's proxies and .netrc must not see or replace the server's key
    made.verify = str(ca_file) if ca_file else True
    adapter = requests.adapters.HTTPAdapter(pool_connections=2, pool_maxsize=connections)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


def exchange(session: requests.Session, method: str, url: str, **request: Any) -> Answer:
    """Send one request and wait for the complete answer. Arguments and errors as for `answering`."""
    with answering(session, method, url, **request) as (response, chunks):
        return response.answer(b"".join(chunks))


def pieces(session: requests.Session, method: str, url: str, **request: Any) -> Generator[Answer, None, None]:
    """Yield the lines of an answer as they arrive, or one Answer if it has no lines. Raises errors among them.

    Arguments and errors as for `answering`; the timeout covers the whole answer.
    """
    with answering(session, method, url, **request) as (response, chunks):
        if not response.in_lines:
            yield response.answer(b"".join(chunks))
            return
        lines = Lines(response)
        for chunk in chunks:
            yield from lines.add(chunk)
        yield from lines.end()


@contextmanager
def answering(
    session: requests.Session,
    method: str,
    url: str,
    *,
    timeout: float,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    **body: Any,
) -> Iterator[tuple[RestResponse, Iterator[bytes]]]:
    """Send one request. Yields the head of the response, and its body as a stream, also for an error.

    url: with a quoted path; it is sent unchanged. timeout: seconds until the end of the body. body: `data` and `files`
    as in requests. Raises DeadlineExceeded after `timeout` seconds, or Unreachable.
    """
    end = monotonic() + timeout
    prepared = session.prepare_request(requests.Request(method, url, headers=dict(headers or {}), **body))
    prepared.url = f"{url}?{urlencode(query)}" if query else url  # requests would undo the quoting of `segment`

    def chunks(response: requests.Response) -> Iterator[bytes]:
        # read1 returns what has arrived; iter_content would wait for a full chunk, regardless of the deadline.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            yield chunk
            if monotonic() > end:
                raise deadline_exceeded(timeout)

    try:
        with session.send(
            prepared, timeout=(min(CONNECT, timeout), timeout), stream=True, allow_redirects=False
        ) as response:
            yield RestResponse(response.status_code, response.headers, response.reason or ""), chunks(response)
    except (requests.Timeout, ReadTimeoutError):
        raise deadline_exceeded(timeout) from None
    except (requests.RequestException, HTTPError) as error:
        raise unreachable(f"{url}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """The innermost cause, such as "[Errno 111] Connection refused"."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return reason(inner)
    return str(error).rpartition(": ")[2] or type(error).__name__
