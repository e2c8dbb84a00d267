"""RIFF WAVE files: their chunks, and the length that a streaming writer could not know."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from handlers.audio.limits import check_rate
from handlers.errors import MalformedInput

HEADER, CHUNK = 12, 8
MAX_CHUNKS = 1000


def repaired(data: bytes) -> bytes:
    """The file, its `data` chunk as long as what follows where its length was left at 0, as writers to a pipe do. BW64
    (ITU-R BS.2088), which libsndfile does not know, is read as RF64, which it is but for its name.

    Raises MalformedInput above MAX_CHUNKS, InvalidInput for a sample rate that nothing has.
    """
    if data[:4] == b"BW64":
        data = b"RF64" + data[4:]
    order = ">" if data[:4] == b"RIFX" else "<"
    sizes = None  # where a ds64 chunk has the length of the samples
    for name, size, at in chunks(data, order):
        if name == b"fmt " and len(data) >= at + 16:
            check_rate(struct.unpack_from(f"{order}I", data, at + 12)[0])
        elif name == b"ds64" and len(data) >= at + 32:
            sizes = at + 16
        elif name == b"data":
            start = at + CHUNK
            if size == 0xFFFFFFFF and sizes is not None:
                size = struct.unpack_from("<Q", data, sizes)[0]
                size = 0 if size > len(data) else size  # all its bits are set where a writer did not know it
            if size == 0 and start < len(data) and not is_chunks(data, start, order):
                length = len(data) - start
                if sizes is not None:
                    return data[:sizes] + struct.pack("<Q", length) + data[sizes + 8 :]
                return data[: start - 4] + struct.pack(f"{order}I", length) + data[start:]
            break
    return data


def chunks(data: bytes, order: str, at: int = HEADER) -> Iterator[tuple[bytes, int, int]]:
    """(name, size, offset) of each."""
    for _ in range(MAX_CHUNKS):
        if at + CHUNK > len(data):
            return
        size = struct.unpack_from(f"{order}I", data, at + 4)[0]
        yield data[at : at + 4], size, at
        at += CHUNK + size + size % 2
    raise MalformedInput(f"the WAV file has more than {MAX_CHUNKS} chunks")


def is_chunks(data: bytes, start: int, order: str) -> bool:
    """Further chunks, up to the end of the file, not samples."""
    end = start
    for name, size, at in chunks(data, order, start):
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return False
        end = at + CHUNK + size
    return end in (len(data), len(data) - 1)
