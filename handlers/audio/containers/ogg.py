"""Ogg: its pages, and the streams of a chain (RFC 3533)."""

from __future__ import annotations

from handlers.errors import TooLarge

CAPTURE = b"OggS\0"
HEADER = 27
FIRST_PAGE = 0x02
MAX_PAGES = 50_000
MAX_LINKS = 100


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
