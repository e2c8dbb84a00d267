"""TorchServe's end of the socket on which a worker answers, for answers in pieces."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.handlers.worker import Worker


@contextmanager
def frontend_of(worker: Worker) -> Iterator[socket.socket]:
    """The other end of the socket; the requests of a batch are called a, b, c …"""
    ours, theirs = socket.socketpair()
    worker.context.cl_socket = theirs
    worker.context.request_ids = dict(enumerate("abcdefgh"))
    yield ours
    ours.close()
    theirs.close()


def sent(frontend: socket.socket, content_type: bytes = b"application/x-ndjson") -> list[tuple[str, bytes]]:
    """(request, piece) of every message, read as TorchServe's ModelResponseDecoder reads them."""
    frontend.setblocking(False)
    data = b""
    try:
        while chunk := frontend.recv(1 << 16):
            data += chunk
    except BlockingIOError:
        data += b""
    found, at = [], 0

    def take_int() -> int:
        nonlocal at
        at += 4
        return int(struct.unpack_from("!i", data, at - 4)[0])

    def take() -> bytes:
        nonlocal at
        length = take_int()
        at += length
        return data[at - length : at]

    while at < len(data):
        assert take_int() == 200
        take()
        while (length := take_int()) != -1:
            at += length
            request = data[at - length : at].decode()
            assert take() == content_type
            assert take_int() == 200
            take()
            headers = {take(): take() for _ in range(take_int())}
            assert headers[b"ts_stream_next"] == b"true"
            found.append((request, take()))
    return found
