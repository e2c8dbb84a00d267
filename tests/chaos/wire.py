"""HTTP/1.1 over a socket of one's own: any bytes out, in any pace; the answers read by the standard library."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast
from urllib.parse import urlsplit

from client import Server
from tests.chaos.outcome import Outcome

KEY = b"@KEY@"  # stands for the key, which no report shall hold
CONNECTING = 10.0  # seconds
LEAVING = 0.2  # seconds that a caller waits who expects no answer
QUIET = 3.0  # seconds without a byte, after which a pipeline has brought all its answers
MOST_ANSWER = 32 << 20


@dataclass(frozen=True)
class Wire:
    """One caller's bytes.

    kind: how they were made, for the report. pause: seconds between the pieces. complete: one whole request that can be
    read, so that an answer must come. leaves: the caller goes without waiting for one.
    """

    model: str
    kind: str
    pieces: tuple[bytes, ...]
    pause: float = 0.0
    complete: bool = True
    leaves: bool = False


class Line:
    """Connections to one server. One that brought a whole answer to a whole request carries its thread's next."""

    def __init__(self, server: Server, key: str) -> None:
        address = urlsplit(server.inference)
        self.host, self.port = str(address.hostname), int(address.port or 0)
        self.key = key.encode()
        self.tls = ssl.create_default_context(cafile=str(server.ca_file)) if server.ca_file else None
        self.kept = threading.local()

    def connect(self, deadline: float) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), CONNECTING)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(deadline)
        return self.tls.wrap_socket(plain, server_hostname=self.host) if self.tls else plain

    def send(self, wire: Wire, deadline: float) -> Outcome:
        """The first answer to what was sent; deadline: seconds."""
        usual = wire.complete and not wire.leaves and len(wire.pieces) == 1
        kept: socket.socket | None = vars(self.kept).pop("connection", None) if usual else None
        outcome = self.exchange(wire, deadline, usual, kept)
        if kept and not outcome.code and not outcome.hung:  # the server had closed it before it got the request
            outcome = self.exchange(wire, deadline, usual, None)
        return outcome

    def exchange(self, wire: Wire, deadline: float, usual: bool, connection: socket.socket | None) -> Outcome:
        """connection: a new one where None. usual: keep it, if the server does."""
        started = time.monotonic()
        keep = False
        try:
            connection = connection or self.connect(deadline)
            connection.settimeout(deadline)
            refused = self.write(connection, wire)
            if wire.leaves or not wire.complete:
                connection.settimeout(LEAVING)
            if wire.leaves and not refused:
                return Outcome(0, time.monotonic() - started, left=True)
            outcome, ends = first_answer(connection, wire, started, deadline)
            keep = usual and not refused and not ends
            if keep:
                self.kept.connection = connection
            return outcome
        except (OSError, http.client.HTTPException) as error:
            seconds = time.monotonic() - started
            if isinstance(error, TimeoutError):
                return Outcome(0, seconds, hung=wire.complete and not wire.leaves, left=not wire.complete)
            return Outcome(0, seconds)
        finally:
            if connection and not keep:
                connection.close()

    def pipeline(self, requests: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """(status, body) of every answer to requests that are sent at once over one connection."""
        data = b""
        try:
            with self.connect(QUIET) as connection:
                connection.sendall(b"".join(requests).replace(KEY, self.key))
                while piece := connection.recv(1 << 16):
                    data += piece
        except OSError:
            pass  # the server closed the connection, or has said all
        return answers_in(data)

    def write(self, connection: socket.socket, wire: Wire) -> bool:
        """Whether the server closed the connection before it had all of it, perhaps with an answer."""
        try:
            for number, piece in enumerate(wire.pieces):
                time.sleep(wire.pause if number else 0)
                connection.sendall(piece.replace(KEY, self.key))
        except OSError:
            return True
        return False


def first_answer(connection: socket.socket, wire: Wire, started: float, deadline: float) -> tuple[Outcome, bool]:
    """The answer, and whether nothing more can come over the connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    if wire.complete:
        connection.settimeout(max(0.1, deadline - (time.monotonic() - started)))
    body = response.read(MOST_ANSWER)
    waits = response.headers.get("Retry-After") is not None
    ends = response.will_close or not response.isclosed()
    return Outcome(response.status, time.monotonic() - started, body, retry_after=waits), ends


class Kept(io.BytesIO):
    """Bytes that stay readable where a response thinks its connection has ended."""

    def close(self) -> None:
        pass

    def makefile(self, mode: str) -> Kept:
        return self


def answers_in(data: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of every whole answer in what came over one connection."""
    kept, found = Kept(data), []
    while kept.tell() < len(data):
        response = http.client.HTTPResponse(cast(socket.socket, kept))
        try:
            response.begin()
            found.append((response.status, response.read()))
        except (http.client.HTTPException, ValueError):
            break
    return found


def pieces(whole: bytes, cuts: Sequence[int]) -> tuple[bytes, ...]:
    """A request cut into pieces, but never inside what stands for its key."""
    key = whole.index(KEY)
    places = sorted({0, len(whole), *(cut for cut in cuts if not key < cut < key + len(KEY))})
    return tuple(whole[start:end] for start, end in pairwise(places))


def request(
    path: str, content_type: str | None, body: bytes, headers: tuple[tuple[str, str], ...] = (), method: str = "POST"
) -> bytes:
    """A whole request with a key; headers as they are, in latin-1."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {KEY.decode()}"]
    lines += [f"Content-Type: {content_type}"] if content_type is not None else []
    lines += [f"{name}: {value}" for name, value in headers]
    if not {"content-length", "transfer-encoding"} & {name.lower() for name, _ in headers}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
