"""One HTTP request and its answer: the deadline, and errors as exceptions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from client.answer import VERSION_HEADER, Answer, error_in
from client.errors import ClientError, deadline_exceeded, error_for, over_request_size, unreachable

CHUNK = 1 << 16  # bytes
CONNECT = 5.0  # seconds
LINES = "application/x-ndjson"  # JSON, one object a line


def session(connections: int = 32, ca_file: Path | None = None) -> requests.Session:
    """connections: how many are kept alive, so how many threads can share the session without waiting.

    ca_file: certificates to trust instead of the system's.
    """
    made = requests.Session()
    made.trust_env = False  # a proxy or a .netrc of the environment must not see or replace the server's key
    made.verify = str(ca_file) if ca_file else True
    adapter = requests.adapters.HTTPAdapter(pool_connections=2, pool_maxsize=connections)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


def segment(name: str) -> str:
    """A model's name or version as one segment of a path.

    TorchServe's management takes every request with "/token" anywhere in it for a request of a new key, so the name
    of a model called "tokenizer" must not start with its own first letter.
    """
    quoted = quote(name, safe="")
    return f"%74{quoted[1:]}" if quoted.startswith("token") else quoted


def exchange(session: requests.Session, method: str, url: str, **request: Any) -> Answer:
    """Send one request and wait for all of its answer; arguments and errors are those of `answering`."""
    with answering(session, method, url, **request) as (response, chunks):
        content = b"".join(chunks)
        if response.status_code >= 300:
            raise error_of(response, content)
        return Answer(media_type(response), content, response.headers.get(VERSION_HEADER, ""))


def lines(session: requests.Session, method: str, url: str, **request: Any) -> Iterator[Answer]:
    """The lines of an answer as they come, or one Answer where it is not in lines; an error among them is raised.

    Arguments and errors are those of `answering`; the timeout is for the whole answer.
    """
    with answering(session, method, url, **request) as (response, chunks):
        if response.status_code >= 300:
            raise error_of(response, b"".join(chunks))
        if media_type(response) != LINES:
            yield Answer(media_type(response), b"".join(chunks))
            return
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield piece_of(line)
        if rest:
            yield piece_of(rest)


def piece_of(line: bytes) -> Answer:
    error = error_in(line)
    if error:
        raise error
    return Answer("application/json", line)


def media_type(response: requests.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


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
) -> Iterator[tuple[requests.Response, Iterator[bytes]]]:
    """Send one request: its response, and the bytes of the body as they come, of an error answer as of another.

    url: with its path quoted; it is sent as it is. timeout: seconds to the end of the body. body: `data` and `files`
    as requests takes them. Raises DeadlineExceeded after `timeout` seconds, or Unreachable.
    """
    end = monotonic() + timeout
    prepared = session.prepare_request(requests.Request(method, url, headers=dict(headers or {}), **body))
    prepared.url = f"{url}?{urlencode(query)}" if query else url  # requests would undo the quoting of `segment`

    def chunks(response: requests.Response) -> Iterator[bytes]:
        # read1 hands over what has come; iter_content would wait for a full chunk, whatever the deadline.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            yield chunk
            if monotonic() > end:
                raise deadline_exceeded(timeout)

    try:
        with session.send(
            prepared, timeout=(min(CONNECT, timeout), timeout), stream=True, allow_redirects=False
        ) as response:
            yield response, chunks(response)
    except (requests.Timeout, ReadTimeoutError):
        raise deadline_exceeded(timeout) from None
    except (requests.RequestException, HTTPError) as error:
        raise unreachable(f"{url}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """The innermost cause: "[Errno 111] Connection refused" instead of the layers around it."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return reason(inner)
    return str(error).rpartition(": ")[2] or type(error).__name__


def error_of(response: requests.Response, content: bytes) -> ClientError:
    """The exception of an error answer; one without TorchServe's JSON body is recognised by its status."""
    try:
        value = json.loads(content)
        return error_for(response.status_code, str(value["type"]), str(value["message"]))
    except (ValueError, KeyError, TypeError):
        text = content[:200].decode("utf-8", "replace").strip()
        if response.status_code == 413 and not text:
            return over_request_size()
        return error_for(response.status_code, "", text or response.reason or "the server gave no reason")
