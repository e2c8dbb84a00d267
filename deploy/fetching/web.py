"""An archive on a web server, and the connections that registries use as well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from deploy.errors import DeployError
from deploy.fetching.source import MAX_SIGNATURE, Source, without_secrets

BLOCK = 1 << 20  # bytes
CONNECT, SILENCE = 30.0, 60.0  # seconds
LEAST = 60 << 10  # bytes that have to come in the time of SILENCE
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
# Those of 400 to 499 that another attempt may change.
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class NotResumable(Exception):
    """The other side sends a file from its first byte on alone, or has no more of it than is there."""


class WebFile:
    """A file on a web server. Uses credentials from ~/.netrc or a signed query, and the environment's proxies."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name = source.name
        self.session = session()
        # With GET, because signed addresses often allow nothing else.
        with self.get(source.url) as response:
            length = response.headers.get("Content-Length", "")
            self.size = int(length) if length.isdecimal() else None

    def get(self, url: str, **headers: str) -> requests.Response:
        return checked(ask(self.session, url, headers, self.source.shown), self.source.shown)

    def blocks(self, offset: int) -> Iterator[bytes]:
        return parts(self.get(self.source.url, **range_header(offset)), offset)

    def signature(self) -> bytes | None:
        address, _, query = self.source.url.partition("?")
        try:
            response = self.get(f"{address}.sig{'?' * bool(query)}{query}")
        except FileNotFoundError:
            return None
        return whole(response, MAX_SIGNATURE, self.source.shown)


def session() -> requests.Session:
    made = requests.Session()
    patient(made)
    return made


def patient(session: requests.Session, *, plain: bool = False) -> None:
    """A server that is silent does not hang us, and none sends us on to an address without TLS, unless plain."""
    session.adapters.clear()
    for prefix in ("https://", "http://") if plain else ("https://",):
        session.mount(prefix, Patient())


def ask(session: requests.Session, url: str, headers: dict[str, str], shown: str) -> requests.Response:
    """Raises DeployError where another attempt would come to the same."""
    try:
        # Compressed, bytes would be counted that are not the file's.
        return session.get(url, headers={"Accept-Encoding": "identity", **headers}, stream=True)
    except requests.exceptions.SSLError as error:
        raise DeployError(f"{shown} cannot be fetched: {without_secrets(str(error))}") from None
    except requests.exceptions.TooManyRedirects:
        raise DeployError(f"{shown} leads from one address to another, and never to an archive") from None
    except requests.exceptions.InvalidSchema:
        raise DeployError(f"{shown} leads to an address that is not one of https://") from None
    except ValueError:  # as requests has it of lengths and addresses that are none
        raise DeployError(f"{shown} is answered with headers that cannot be read") from None


class Patient(HTTPAdapter):
    def send(self, request: Any, *arguments: Any, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or (CONNECT, SILENCE)
        return super().send(request, *arguments, **options)


def range_header(offset: int) -> dict[str, str]:
    return {"Range": f"bytes={offset}-"} if offset else {}


def checked(response: requests.Response, shown: str) -> requests.Response:
    """Raises FileNotFoundError, PermissionError, NotResumable, DeployError for what the server will not change its mind
    about, and requests' error for any other status than a good one.
    """
    status = response.status_code
    if status == HTTPStatus.NOT_FOUND:
        raise FileNotFoundError(shown)
    if status in REFUSED:
        raise PermissionError(shown)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise NotResumable
    if 400 <= status < 500 and status not in PASSING:
        raise DeployError(f"{shown} cannot be fetched: {status} {response.reason}{expired(shown)}")
    response.raise_for_status()
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise DeployError(f"{shown} is sent in the encoding {encoding[:40]!r}, which was not asked for")
    return response


def expired(shown: str) -> str:
    return "; the signature in the address may have expired" if "?" in shown else ""


def parts(response: requests.Response, offset: int) -> Iterator[bytes]:
    """The body, which begins at this byte, as it comes. Raises NotResumable where the server sent all of it, and
    OSError where so little comes that it has no end.
    """
    with response:
        if offset and response.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise NotResumable
        since, came = time.monotonic(), 0
        while block := response.raw.read1(BLOCK):
            yield block
            came += len(block)
            if time.monotonic() - since > SILENCE:
                if came < LEAST:
                    raise OSError(f"{came} bytes came in {SILENCE:g} s")
                since, came = time.monotonic(), 0


def whole(response: requests.Response, limit: int, shown: str) -> bytes:
    content = bytearray()
    with response:
        for block in response.iter_content(64 << 10):
            content += block
            if len(content) > limit:
                raise DeployError(f"{shown}: the response is longer than {limit} bytes")
    return bytes(content)
