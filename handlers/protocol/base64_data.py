"""Base64 as senders write it: standard or URL-safe, on one line or several, padded or not; and data URLs."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from handlers.errors import MalformedInput
from handlers.protocol.media_type import media_type, named_type

URL_SAFE = str.maketrans("-_", "+/")


def from_base64(text: str) -> tuple[bytes, str]:
    """The bytes, and the content type that a data URL (RFC 2397) brings, else "". Its data may be percent-encoded."""
    content_type = ""
    if text[:64].lstrip()[:5].lower() == "data:":
        head, comma, text = text.lstrip().partition(",")
        if not comma or not head[-7:].lower() == ";base64":
            raise MalformedInput("a data URL must be data:<type>;base64,<data>")
        content_type = named_type(media_type(head[5:-7]))
        text = unquote(text) if "%" in text else text
    data = decode_base64(text)
    if not data:
        raise MalformedInput("the input is empty")
    return data, content_type


def decode_base64(text: str) -> bytes:
    """RFC 4648, sections 4 and 5, and MIME's lines; anything else in it is refused."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        pass
    plain = "".join(line.strip() for line in text.splitlines()).translate(URL_SAFE).rstrip("=")
    if " " in plain:
        raise MalformedInput("the data is not base64: it has spaces, which a form or a URL makes of its plus signs")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput(f"the data is not base64: {error}") from None
