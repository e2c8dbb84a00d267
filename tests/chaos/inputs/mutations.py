"""Broken files: bytes of a real one flipped, cut, doubled, exchanged, its lengths rewritten."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st

HEADER = 256  # bytes in which most of a file's structure stands
MOST_BYTES = 4 << 20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
NUMBERS = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
COPIES = (2, 3, 10, 300)


def position(chance: random.Random, data: bytearray) -> int:
    """Half of all are in the header."""
    end = len(data) if chance.random() < 0.5 else min(HEADER, len(data))
    return chance.randrange(max(1, end))


def flip(chance: random.Random, data: bytearray) -> bytearray:
    if data:
        data[position(chance, data)] ^= chance.randint(1, 255)
    return data


def truncate(chance: random.Random, data: bytearray) -> bytearray:
    return data[: position(chance, data)]


def double(chance: random.Random, data: bytearray) -> bytearray:
    """A piece of the file again and again."""
    start = position(chance, data)
    piece = data[start : start + chance.randint(1, 4096)]
    copies = min(chance.choice(COPIES), MOST_BYTES // max(1, len(piece)))
    return data[:start] + piece * copies + data[start:]


def remove(chance: random.Random, data: bytearray) -> bytearray:
    start = position(chance, data)
    return data[:start] + data[start + chance.randint(1, 4096) :]


def insert(chance: random.Random, data: bytearray) -> bytearray:
    start = position(chance, data)
    return data[:start] + chance.randbytes(chance.randint(1, 64)) + data[start:]


def rewrite_number(chance: random.Random, data: bytearray) -> bytearray:
    """A number that may be a length, a count or a size."""
    code = chance.choice(["<B", ">H", "<H", ">I", "<I"])
    size = struct.calcsize(code)
    start = position(chance, data)
    if start + size <= len(data):
        value = chance.choice(NUMBERS) if chance.random() < 0.5 else chance.getrandbits(32)
        data[start : start + size] = struct.pack(code, value & ((1 << 8 * size) - 1))
    return data


CHANGES = (flip, truncate, double, remove, insert, rewrite_number, rewrite_number)


def mutate(chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """One of the samples with a few changes; sometimes its second half is another's."""
    data = bytearray(chance.choice(samples))
    if chance.random() < 0.1:
        other = chance.choice(samples)
        data = data[: position(chance, data)] + other[len(other) // 2 :]
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(CHANGES)(chance, data)
    if data.startswith(SIGNATURE) and chance.random() < 0.5:
        data = with_checksums(data)
    return bytes(data[:MOST_BYTES])


def mutated(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One draw each, of the seed: a draw for every change would take far longer than the changes."""
    return st.integers(0, 2**64 - 1).map(lambda seed: mutate(random.Random(seed), samples))


def with_checksums(data: bytearray) -> bytearray:
    """A PNG whose chunks have the checksums of what is in them, so that a decoder reads past a change."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        end = start + 8 + int.from_bytes(data[start : start + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[start + 4 : end]))
        start = end + 4
    return data
