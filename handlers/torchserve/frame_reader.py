"""Reads TorchServe's requests from its socket a buffer at a time.

TorchServe 0.12 reads every length and every field of a request, its HTTP headers among them, with a `recv` of its own:
forty-five a request. The frames are its own (ts/protocol/otf_message_handler.py): a command, then requests of
(id, headers, parameters), every field after its length as a big-endian 32-bit integer, every list closed by -1.
"""

from __future__ import annotations

import socket
import sys
from struct import Struct
from typing import Any

from handlers.torchserve.progress import BUFFER, PROGRESS, Progress
from handlers.torchserve.quarantine import Quarantine

INTEGER = Struct("!i")
PREDICT = b"I"
END = -1
# The buffer grows to the largest batch that came, up to this size: it is given back after a larger one.
MAX_KEPT = 8 << 20


class FrameReader:
    """One message after another; a message is in the buffer from its first byte on.

    The buffer is the memory of `progress`, in which a message may be there from a worker before this one. quarantine:
    of inputs that are refused; None for a worker that takes all.
    """

    def __init__(self, progress: Progress, quarantine: Quarantine | None = None) -> None:
        self.progress, self.quarantine = progress, quarantine
        self.buffer = progress.message
        self.filled = 0
        self.position = 0
        self.last: list[dict[str, Any]] = []

    def message(self, connection: socket.socket) -> tuple[bytes, list[dict[str, Any]]]:
        """The next batch, as TorchServe's own `retrieve_msg` returns it; ends the process when TorchServe has gone.

        TorchServe sends nothing more before it has the answer, so what is in the buffer is this message and no other.
        Its worker keeps the batch before in a variable while it waits here: that batch is emptied first, or its bodies
        would stay in memory until another request comes. A part that was sent more than once has a list of its values.
        """
        for answered in self.last:
            answered.clear()
        self.last = []
        self.progress.hand_over(connection)
        self.position, self.filled = 0, self.progress.wait()
        if not self.filled and len(self.buffer) > MAX_KEPT:
            self.buffer.resize(BUFFER)
        command = self.take(connection, 1)
        if command != PREDICT:
            raise ValueError(f"command {bytes(command)!r}; a loaded worker takes {PREDICT!r} only")
        batch = []
        while (length := self.integer(connection)) != END:
            request: dict[str, Any] = {"requestId": self.take(connection, length)}
            request["headers"] = headers = []
            while (length := self.integer(connection)) != END:
                name = self.take(connection, length)
                headers.append({"name": name, "value": self.field(connection)})
            request["parameters"] = parameters = []
            values: dict[str, list[bytes]] = {}
            while (length := self.integer(connection)) != END:
                part = self.take(connection, length).decode()
                content_type = self.field(connection).decode()
                every = values.setdefault(part, [])
                every.append(self.field(connection))
                value = every if len(every) > 1 else every[0]
                parameters.append({"name": part, "contentType": content_type, "value": value})
            batch.append(request)
        self.last = batch
        self.progress.begin(len(batch))
        if self.quarantine:
            self.progress.refused = self.quarantine.find(batch)
        return PREDICT, batch

    def field(self, connection: socket.socket) -> bytes:
        return self.take(connection, self.integer(connection))

    def integer(self, connection: socket.socket) -> int:
        if self.filled - self.position < INTEGER.size:
            self.fill(connection, INTEGER.size)
        value: int = INTEGER.unpack_from(self.buffer, self.position)[0]
        if value < END:
            raise ValueError(f"a length of {value}; wanted {END} or more")
        self.position += INTEGER.size
        return value

    def take(self, connection: socket.socket, length: int) -> bytes:
        if self.filled - self.position < length:
            self.fill(connection, length)
        start, self.position = self.position, self.position + length
        return self.buffer[start : self.position]

    def fill(self, connection: socket.socket, length: int) -> None:
        """Receive until `length` bytes are there from the position on, and whatever came with them.

        The buffer grows with what has arrived, not with what was announced.
        """
        wanted = self.position + length
        while self.filled < wanted:
            if self.filled == len(self.buffer):
                self.buffer.resize(2 * len(self.buffer))
            with memoryview(self.buffer) as view:
                received = connection.recv_into(view[self.filled :])
            if not received:
                sys.exit(0)
            self.filled += received
            self.progress.received(self.filled)


def install(context: Any) -> None:
    """Read so from the next message on, in a worker of TorchServe's with this context; nothing elsewhere."""
    worker: Any = sys.modules["__main__"]
    if hasattr(worker, "TorchModelServiceWorker") and hasattr(worker, "retrieve_msg"):
        PROGRESS.describe(context)
        worker.retrieve_msg = FrameReader(PROGRESS, Quarantine.of(context)).message
