"""How far a worker is with its batch, in memory that outlives it, and the batch itself.

The worker's side, which explains the words, is handlers/torchserve/progress.py; a test compares the layouts.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

HEADER, SLOTS = 1 << 17, 64
WORDS = Struct("=5q")
WAITING, WORKING, ANSWERING = range(3)
SENT = 0x80
INTEGER = Struct("!i")
END = -1
# Entries of a gRPC call that are not part of the input: over REST they are headers, or the choice of a method. Some
# differ between two otherwise identical calls.
BESIDE = frozenset(
    (
        *("content-type", "content-encoding", "accept", "inference-header-content-length", "stream"),
        *("x-request-deadline", "traceparent", "tracestate", "x-request-start"),
    )
)


class Words(NamedTuple):
    phase: int
    batch: int
    requests: int
    filled: int
    call: int


class Held(NamedTuple):
    """A request that a worker holds. id: TorchServe's. sha256: of its body, or of its parts ordered by name.

    bytes: how many that are. The worker computes both too: handlers/torchserve/quarantine.py.
    """

    id: str
    sha256: str
    bytes: int


class SharedProgress:
    """file: of the memory, for the worker."""

    def __init__(self) -> None:
        self.file = os.memfd_create("batch")
        os.ftruncate(self.file, HEADER)
        self.memory = mmap.mmap(self.file, HEADER)

    def read(self) -> Words:
        return Words(*WORDS.unpack_from(self.memory))

    def under_way(self, requests: int) -> list[tuple[int, int]]:
        """(index, work) of each request that is being worked on by itself."""
        found = enumerate(self.memory[SLOTS : SLOTS + requests])
        return [(index, slot & ~SENT) for index, slot in found if slot & ~SENT]

    def sent(self, requests: int) -> list[int]:
        """The requests whose answers have been sent in part."""
        return [index for index, slot in enumerate(self.memory[SLOTS : SLOTS + requests]) if slot & SENT]

    def go_back(self, words: Words) -> None:
        """Go back to the beginning of the batch, for another worker."""
        for index, _ in self.under_way(words.requests):
            self.memory[SLOTS + index] &= SENT
        WORDS.pack_into(self.memory, 0, WAITING, words.batch, words.requests, words.filled, 0)

    def empty(self, words: Words) -> None:
        """Record that the batch has been answered and the next is awaited."""
        self.memory[SLOTS : SLOTS + words.requests] = bytes(words.requests)
        WORDS.pack_into(self.memory, 0, WAITING, words.batch, 0, 0, 0)

    def held(self, indices: Sequence[int]) -> list[Held]:
        """The requests at these places of the batch, which must have been received completely."""
        if not indices:
            return []
        from hashlib import sha256  # imported here because few keepers need it

        found = []
        with mmap.mmap(self.file, 0, prot=mmap.PROT_READ) as file, memoryview(file) as view, view[HEADER:] as message:
            for index, (request, parts) in enumerate(read_batch(message)):
                if index in indices:
                    digest, size = sha256(), 0
                    for name, start, end in sorted(parts, key=lambda part: part[0]):
                        if name not in BESIDE:
                            digest.update(message[start:end])
                            size += end - start
                    found.append(Held(request, digest.hexdigest(), size))
        return found


def read_batch(message: memoryview) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """Each request's id, and its parts: name, where the value begins and where it ends.

    message: received completely, in the form that handlers/torchserve/frame_reader.py describes.
    """
    position = 1

    def integer() -> int:
        nonlocal position
        position += INTEGER.size
        return int(INTEGER.unpack_from(message, position - INTEGER.size)[0])

    def skip(length: int) -> tuple[int, int]:
        nonlocal position
        position += length
        return position - length, position

    def text(length: int) -> str:
        start, end = skip(length)
        return bytes(message[start:end]).decode("utf-8", "replace")

    while (length := integer()) != END:
        request, parts = text(length), []
        while (length := integer()) != END:
            skip(length)
            skip(integer())
        while (length := integer()) != END:
            name = text(length)
            skip(integer())
            parts.append((name, *skip(integer())))
        yield request, parts
