"""The body of a request: its bytes and their content type."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Payload = bytes | str | Path | Mapping[str, Any] | Sequence[Any]
Parameters = Mapping[str, str | int | float | bool]

OCTETS = "application/octet-stream"
# Spelled out because the system's own table differs from machine to machine: audio/x-wav, audio/x-flac.
BY_SUFFIX = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heic",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
    ".json": "application/json",
    ".txt": "text/plain",
}
BY_START = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"fLaC": "audio/flac",
    b"OggS": "audio/ogg",
    b"ID3": "audio/mpeg",
}
BY_RIFF_FORM = {b"WAVE": "audio/wav", b"WEBP": "image/webp"}
RESERVED = {"body", "data", "content-type", "accept", "stream"}


def sniff(data: bytes) -> str:
    """The media type that the first bytes of an image or recording show, or ""."""
    for start, media_type in BY_START.items():
        if data.startswith(start):
            return media_type
    if data.startswith(b"RIFF"):
        return BY_RIFF_FORM.get(data[8:12], "")
    if data[4:12] == b"ftypavif":
        return "image/avif"
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "image/heic"
    # An MPEG audio frame of layer III without a tag before it: 11 set bits, a version, the bits 01.
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    return ""


def encode(payload: Payload, content_type: str | None = None) -> tuple[bytes, str]:
    """The body to send and its content type; `content_type` overrides the one that is found.

    bytes: by their first bytes. Path: by its suffix, else as bytes. str: text/plain, UTF-8. Mappings and sequences:
    JSON; ValueError on a NaN or infinity, which JSON cannot carry.
    """
    if isinstance(payload, Path):
        body = payload.read_bytes()
        suffix = payload.suffix.lower()
        found = BY_SUFFIX.get(suffix) or sniff(body) or mimetypes.guess_type(payload.name)[0] or OCTETS
    elif isinstance(payload, (bytes, bytearray, memoryview)):
        body = bytes(payload)
        found = sniff(body) or OCTETS
    elif isinstance(payload, str):
        body, found = payload.encode(), "text/plain"
    elif isinstance(payload, (Mapping, Sequence)):
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        found = "application/json"
    else:
        raise TypeError(f"payload: got {type(payload).__name__}, wanted bytes, str, Path, a mapping or a sequence")
    return body, content_type or found


def texts(parameters: Parameters | None) -> dict[str, str]:
    """Parameters as they are sent; ValueError for a name that the request itself uses."""
    taken = RESERVED & set(parameters or ())
    if taken:
        raise ValueError(f"parameters: {', '.join(sorted(taken))} cannot be the name of a parameter")
    return {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in (parameters or {}).items()}
