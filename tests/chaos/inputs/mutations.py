"""Broken files: bytes of a real one flipped, cut, doubled, exchanged, its lengths rewritten."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
HEADER = 256  # bytes in which most of a file's structure stands
MOST_BYTES = 4 << 20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
NUMBERS = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
COPIES = (2, 3, 10, 300)


def position(draw: Draw, data: bytearray) -> int:
    """Half of all are in the header."""
    end = len(data) if draw(st.booleans()) else min(HEADER, len(data))
    return int(draw(st.integers(0, max(0, end - 1))))


def flip(draw: Draw, data: bytearray) -> bytearray:
    if data:
        data[position(draw, data)] ^= draw(st.integers(1, 255))
    return data


def truncate(draw: Draw, data: bytearray) -> bytearray:
    return data[: position(draw, data)]


def double(draw: Draw, data: bytearray) -> bytearray:
    """A piece of the file again and again."""
    start = position(draw, data)
    piece = data[start : start + draw(st.integers(1, 4096))]
    copies = min(draw(st.sampled_from(COPIES)), MOST_BYTES // max(1, len(piece)))
    return data[:start] + piece * copies + data[start:]


def remove(draw: Draw, data: bytearray) -> bytearray:
    start = position(draw, data)
    return data[:start] + data[start + draw(st.integers(1, 4096)) :]


def insert(draw: Draw, data: bytearray) -> bytearray:
    start = position(draw, data)
    return data[:start] + draw(st.binary(min_size=1, max_size=64)) + data[start:]


def rewrite_number(draw: Draw, data: bytearray) -> bytearray:
    """A number that may be a length, a count or a size."""
    code = draw(st.sampled_from(["<B", ">H", "<H", ">I", "<I"]))
    size = struct.calcsize(code)
    start = position(draw, data)
    if start + size <= len(data):
        value = draw(st.sampled_from(NUMBERS) | st.integers(0, 0xFFFFFFFF)) & ((1 << 8 * size) - 1)
        data[start : start + size] = struct.pack(code, value)
    return data


CHANGES = (flip, truncate, double, remove, insert, rewrite_number, rewrite_number)


@st.composite
def mutated(draw: Draw, samples: Sequence[bytes]) -> bytes:
    """One of the samples with a few changes; sometimes its second half is another's."""
    data = bytearray(draw(st.sampled_from(samples)))
    if draw(st.integers(0, 9)) == 0:
        other = draw(st.sampled_from(samples))
        data = data[: position(draw, data)] + other[len(other) // 2 :]
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.sampled_from(CHANGES))(draw, data)
    if data.startswith(SIGNATURE) and draw(st.booleans()):
        data = with_checksums(data)
    return bytes(data[:MOST_BYTES])


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
