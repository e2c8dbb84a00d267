"""Ogg: its pages, and the streams of a chain (RFC 3533)."""

from __future__ import annotations

from handlers.audio.containers.flac import check_blocks
from handlers.errors import TooLarge

CAPTURE = b"OggS\0"
HEADER = 27
SERIAL = slice(14, 18)  # of a page, the number of its stream
FIRST_PAGE = 0x02
MAX_PAGES = 50_000
MAX_LINKS = 100
# What FLAC has before the signature of a native file (RFC 9639, section 10.1), and how it begins.
FLAC, FLAC_HEADER = b"\x7fFLAC", 9


def links(data: bytes) -> list[bytes]:
    """Each link of a chain as a file of its own; what stands between pages, or of a page that was cut off, is left out.

    libsndfile reads the first link alone, and takes minutes to find the pages between millions of false ones.

    Raises TooLarge above MAX_PAGES or MAX_LINKS.
    """
    parts: list[list[tuple[int, int]]] = []
    at, begun = 0, True  # begun: the link has had a page that is not the first of a stream
    for _ in range(MAX_PAGES):
        start = data.find(CAPTURE, at)
        if start < 0 or start + HEADER > len(data):
            break
        segments = data[start + HEADER : start + HEADER + data[start + HEADER - 1]]
        at = start + HEADER + len(segments) + sum(segments)
        if at > len(data):
            break
        first = bool(data[start + 5] & FIRST_PAGE)
        if first and begun:
            parts.append([])
        begun = not first
        if parts and parts[-1] and parts[-1][-1][1] == start:
            parts[-1][-1] = (parts[-1][-1][0], at)
        elif parts:
            parts[-1].append((start, at))
    else:
        raise TooLarge(f"the recording has more than {MAX_PAGES} Ogg pages")
    if len(parts) > MAX_LINKS:
        raise TooLarge(f"the recording is a chain of {len(parts)} Ogg streams, the limit is {MAX_LINKS}")
    return [b"".join(data[begin:end] for begin, end in spans) for spans in parts]


def native_flac(link: bytes) -> bytes:
    """Of a link of FLAC the native file that its packets are, one after the other; b"" of another codec.

    libsndfile reads few of those that FFmpeg writes. Raises MalformedInput as `check_blocks`.
    """
    parts: list[bytes] = []
    at, serial = 0, b""
    while at + HEADER <= len(link):
        page = link[at : at + HEADER]
        segments = link[at + HEADER : at + HEADER + page[-1]]
        start = at + HEADER + len(segments)
        at = start + sum(segments)
        if not serial and link.startswith(FLAC, start):
            serial, start = page[SERIAL], start + FLAC_HEADER
        if page[SERIAL] == serial:
            parts.append(link[start:at])
    native = b"".join(parts)
    if native:
        check_blocks(native)
    return native
