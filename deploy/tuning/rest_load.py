"""Load on an HTTP server over plain sockets: a lean client, because it shares the processor with the server."""

from __future__ import annotations

import random
import selectors
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter

from deploy.tuning.sample import Reply, Sample

READ = 1 << 18
BOUNDARY = "a-image"
# Seconds to wait after the end for answers that are still on their way.
PATIENCE = 30.0


@dataclass(frozen=True)
class Target:
    """Where a server takes an image: the same request for every system, but for its path and headers.

    form: the field of a multipart form that holds the image; "" where the body is the image itself.
    """

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: str = ""
    host: str = "127.0.0.1"
    tls: bool = False
    ca_file: Path | None = None

    def connect(self) -> socket.socket:
        """A connection that does not block from here on."""
        made = socket.create_connection((self.host, self.port), timeout=30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            made = context(self.ca_file).wrap_socket(made, server_hostname=self.host)
        made.setblocking(False)
        return made

    def request(self, body: bytes, content_type: str = "image/jpeg") -> bytes:
        if self.form:
            disposition = f'form-data; name="{self.form}"; filename="image.jpg"'
            part = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: {content_type}\r\n\r\n"
            body = part.encode() + body + f"\r\n--{BOUNDARY}--\r\n".encode()
            content_type = f"multipart/form-data; boundary={BOUNDARY}"
        lines = {"Host": f"{self.host}:{self.port}", "Content-Type": content_type, **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@cache
def context(ca_file: Path | None) -> ssl.SSLContext:
    """ca_file: the certificates to trust; None for the system's."""
    return ssl.create_default_context(cafile=ca_file)


class Connection:
    """One keep-alive connection with at most one pending request."""

    def __init__(self, target: Target, selector: selectors.BaseSelector) -> None:
        self.target = target
        self.selector = selector
        self.connect()

    def connect(self) -> None:
        self.socket = self.target.connect()
        self.selector.register(self.socket, selectors.EVENT_READ, self)
        self.writing = False
        self.received = bytearray()
        self.wanted = -1
        self.left = memoryview(b"")

    def close(self) -> None:
        self.selector.unregister(self.socket)
        self.socket.close()

    def send(self, request: bytes, index: int, due: float) -> None:
        """due: when the request should have been sent, from which its latency counts."""
        self.left, self.index, self.due = memoryview(request), index, due
        self.write()

    def write(self) -> None:
        try:
            while self.left:
                self.left = self.left[self.socket.send(self.left) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if not self.writing:
                self.selector.modify(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
                self.writing = True
            return
        if self.writing:
            self.selector.modify(self.socket, selectors.EVENT_READ, self)
            self.writing = False

    def read(self) -> Reply | None:
        """The answer, once it is complete. A connection that the server closed is opened again."""
        try:
            data = self.receive()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (ConnectionError, ssl.SSLError):
            data = b""
        now = perf_counter()
        self.received += data
        if self.wanted < 0:
            end = self.received.find(b"\r\n\r\n")
            if end >= 0:
                head = bytes(self.received[:end]).lower()
                self.status = int(head[9:12])
                _, found, length = head.partition(b"content-length:")
                self.closes = b"connection: close" in head
                self.body = end + 4
                self.wanted = self.body + (int(length.split(b"\r\n", 1)[0]) if found else 1 << 62)
        if 0 < self.wanted <= len(self.received):
            reply = Reply(self.index, self.status, now - self.due, bytes(self.received[self.body : self.wanted]))
            self.received, self.wanted = bytearray(), -1
            if self.closes:
                self.reconnect()
            return reply
        if not data:
            self.reconnect()
            return Reply(self.index, 0, now - self.due, b"")
        return None

    def receive(self) -> bytes:
        """The received bytes; over TLS all decrypted ones, which the selector would not report again."""
        data = self.socket.recv(READ)
        while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            data += self.socket.recv(READ)
        return data

    def reconnect(self) -> None:
        self.close()
        self.connect()


def closed_loop(target: Target, bodies: Sequence[bytes], concurrency: int, seconds: float, warm_up: float) -> Sample:
    """As many requests as the server answers, `concurrency` at a time: each answer is followed by the next request.

    Those sent in the first `warm_up` seconds are not counted.
    """
    requests = [target.request(body) for body in bodies]
    selector = selectors.DefaultSelector()
    connections = [Connection(target, selector) for _ in range(concurrency)]
    replies: list[Reply] = []
    started = perf_counter() + warm_up
    end = started + seconds
    number = 0
    try:
        for connection in connections:
            connection.send(requests[number % len(requests)], number % len(requests), perf_counter())
            number += 1
        now = perf_counter()
        while now < end:
            for key, events in selector.select(end - now):
                connection = key.data
                if events & selectors.EVENT_WRITE:
                    connection.write()
                reply = connection.read() if events & selectors.EVENT_READ else None
                if reply is not None:
                    if perf_counter() >= started:
                        replies.append(reply)
                    connection.send(requests[number % len(requests)], number % len(requests), perf_counter())
                    number += 1
            now = perf_counter()
        drain(selector, connections)
    finally:
        for connection in connections:
            connection.close()
        selector.close()
    return Sample(replies, seconds)


def open_loop(target: Target, bodies: Sequence[bytes], rate: float, seconds: float, most: int = 512) -> Sample:
    """Requests at a constant rate per second, as `scheduled` sends them."""
    return scheduled(target, bodies, [number / rate for number in range(int(rate * seconds))], seconds, most)


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Times of arrivals in `seconds` at this mean rate, independent of one another."""
    chance = random.Random(seed)
    times, now = [], chance.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += chance.expovariate(rate)
    return times


def scheduled(target: Target, bodies: Sequence[bytes], due: Sequence[float], seconds: float, most: int = 512) -> Sample:
    """Requests at these times in seconds, in order, whether or not the server keeps up.

    Latency counts from the time a request was due: one that finds all `most` connections busy waits for one, and its
    waiting counts.
    """
    requests = [target.request(body) for body in bodies]
    selector = selectors.DefaultSelector()
    idle: deque[Connection] = deque()
    connections: list[Connection] = []
    replies: list[Reply] = []
    started = perf_counter()
    total = len(due)
    sent = 0
    try:
        while len(replies) < total and perf_counter() < started + seconds + PATIENCE:
            while sent < total and started + due[sent] <= perf_counter():
                if not idle:
                    if len(connections) >= most:
                        break
                    idle.append(Connection(target, selector))
                    connections.append(idle[-1])
                idle.pop().send(requests[sent % len(requests)], sent % len(requests), started + due[sent])
                sent += 1
            wait = max(0.0, started + due[sent] - perf_counter()) if sent < total else 0.1
            for key, events in selector.select(wait):
                if events & selectors.EVENT_WRITE:
                    key.data.write()
                reply = key.data.read() if events & selectors.EVENT_READ else None
                if reply is not None:
                    replies.append(reply)
                    idle.append(key.data)
        took = perf_counter() - started
    finally:
        for connection in connections:
            connection.close()
        selector.close()
    lost = [Reply(0, 0, took, b"") for _ in range(total - len(replies))]
    return Sample([*replies, *lost], took)


def drain(selector: selectors.BaseSelector, connections: Sequence[Connection]) -> None:
    """Wait for pending answers, so that the next measurement starts with an idle server."""
    waiting = len(connections)
    until = perf_counter() + PATIENCE
    while waiting and perf_counter() < until:
        for key, events in selector.select(0.5):
            if events & selectors.EVENT_WRITE:
                key.data.write()
            if events & selectors.EVENT_READ and key.data.read() is not None:
                waiting -= 1
