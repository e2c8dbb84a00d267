"""The frame that a worker was sending to TorchServe when it ended, and how its rest is sent.

The worker's side, which explains the words, is handlers/torchserve/outgoing.py; a test compares the layouts.
"""

from __future__ import annotations

import mmap
import os
import socket
from struct import Struct
from typing import NamedTuple

HEADER, MESSAGES, MESSAGE_SIZE = 4096, 64, 64
WORDS = Struct("=5q")
SENT = Struct("=I")  # the last of a message's words, before four bytes of padding
SENT_AT = 56


class Frame(NamedTuple):
    """length: in bytes; 0 if there is none. answers: the batch that it completes, or 0. sent: bytes already sent."""

    length: int
    answers: int
    sent: int


class SharedOutgoing:
    """file: of the memory, for the worker."""

    def __init__(self) -> None:
        self.file = os.memfd_create("outgoing")
        os.ftruncate(self.file, HEADER)
        self.memory = mmap.mmap(self.file, HEADER)

    def read(self) -> Frame:
        length, answers, message, *before = WORDS.unpack_from(self.memory)
        (sent,) = SENT.unpack_from(self.memory, MESSAGES + message * MESSAGE_SIZE + SENT_AT)
        return Frame(length, answers, before[message] + sent)

    def complete(self, connection: socket.socket) -> bool:
        """Send what is left of the frame, so that another may follow; False if TorchServe has gone."""
        length, _, sent = self.read()
        if sent < length:
            try:
                with mmap.mmap(self.file, 0, prot=mmap.PROT_READ) as file, memoryview(file) as view:
                    connection.sendall(view[HEADER + sent : HEADER + length])
            except OSError:
                return False
        WORDS.pack_into(self.memory, 0, *[0] * 5)
        return True
