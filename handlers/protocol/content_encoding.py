"""A request's Content-Encoding: gzip is inflated as far as the limit allows, others are refused."""

from __future__ import annotations

import zlib

from handlers.errors import MalformedInput, TooLarge, UnsupportedMedia, shown

GZIP = 16 + zlib.MAX_WBITS  # zlib's sign for gzip's frame (RFC 1952)


def decode_content(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body as it was before it was compressed. encoding: the header's value.

    Raises UnsupportedMedia for another encoding than gzip, MalformedInput for broken data, TooLarge above max_bytes.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in ("gzip", "x-gzip"):
        raise UnsupportedMedia(f"Content-Encoding: got {shown(encoding)}; this server takes gzip, or none")
    inflater = zlib.decompressobj(GZIP)
    try:
        inflated = inflater.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise MalformedInput(f"Content-Encoding: gzip, but the body is not gzip's: {error}") from None
    if len(inflated) > max_bytes:
        raise TooLarge(f"the inflated input has more than {max_bytes} bytes, the limit")
    if not inflater.eof:
        raise MalformedInput("Content-Encoding: gzip, but the body was cut off")
    if inflater.unused_data:
        raise MalformedInput("Content-Encoding: gzip, but there is more behind the body's end; wanted one gzip member")
    return inflated
