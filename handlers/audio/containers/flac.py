"""FLAC: the metadata blocks before its frames (RFC 9639)."""

from __future__ import annotations

from handlers.errors import MalformedInput

MAX_BLOCKS = 1000


def check_blocks(data: bytes) -> None:
    """Raises MalformedInput where there are more than MAX_BLOCKS."""
    at = 4
    for _ in range(MAX_BLOCKS):
        header = data[at : at + 4]
        if len(header) < 4 or header[0] & 0x80:
            return
        at += 4 + int.from_bytes(header[1:], "big")
    raise MalformedInput(f"the FLAC file has more than {MAX_BLOCKS} metadata blocks")
