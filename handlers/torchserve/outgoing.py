"""The frames that a worker sends TorchServe, in memory that outlives it, with how much of them is on its way.

`sendmmsg` writes the number of bytes that it has sent into its argument before it returns, and a signal that kills a
process takes effect only then. The argument is in memory that the keeper has as well (zygote/shared_outgoing.py), so
that it knows to the byte where a worker was killed, and sends the rest. The layout is described in both files, and a
test compares them.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket

# Words of 64 bits, from 0 on: bytes of the frame, 0 where it is not there as a whole; the batch that it answers, 0
# where more will follow; which of two messages is being sent; and for each, how much of the frame was sent before it.
LENGTH, ANSWERS, MESSAGE, BEFORE = range(4)
MESSAGES = 64  # where the two messages are, one after another; `sent` is the last word of 32 bits of each
HEADER = 4096  # bytes before the frame
BUFFER = 64 << 10
MAX_KEPT = 8 << 20  # bytes; of what a larger frame took, all but BUFFER is given back before the next


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Header), ("sent", ctypes.c_uint32))


class Outgoing:
    """file: of the memory."""

    def __init__(self, file: int) -> None:
        os.ftruncate(file, max(os.fstat(file).st_size, HEADER + BUFFER))
        self.header = mmap.mmap(file, HEADER)
        self.frame = mmap.mmap(file, os.fstat(file).st_size - HEADER, offset=HEADER)
        os.close(file)
        self.words = memoryview(self.header)[:MESSAGES].cast("q")
        self.messages = (Message * 2).from_buffer(self.header, MESSAGES)
        self.vectors = (Vector * 2)()
        for message, vector in zip(self.messages, self.vectors, strict=True):
            message.header.vectors, message.header.vector_count = ctypes.addressof(vector), 1
        self.address = self.locate()
        self.sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg

    def locate(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self.frame))

    def send(self, connection: socket.socket, frame: bytes | bytearray, answers: int) -> None:
        """As `sendall`; once the frame is in the memory, the keeper sends what is left of it if this process ends.

        answers: the number of the batch that it ends, 0 for a piece of an answer.
        """
        words, size = self.words, len(frame)
        words[LENGTH] = 0
        kept = len(self.frame)
        if size > kept or kept > MAX_KEPT:
            self.frame.resize(max(size, BUFFER))
            self.address = self.locate()
        self.frame[:size] = frame
        words[ANSWERS] = answers
        sent = 0
        while sent < size:
            number = 1 - words[MESSAGE]
            message, vector = self.messages[number], self.vectors[number]
            words[BEFORE + number], message.sent = sent, 0
            vector.base, vector.length = self.address + sent, size - sent
            words[MESSAGE] = number
            words[LENGTH] = size
            if self.sendmmsg(connection.fileno(), ctypes.byref(message), 1, socket.MSG_NOSIGNAL) < 0:
                error = ctypes.get_errno()
                if error != errno.EINTR:
                    raise OSError(error, os.strerror(error))
            sent += message.sent
