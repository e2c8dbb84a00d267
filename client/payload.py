"""The body of a request: its bytes and their content type."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from client.inputs.arrays import is_array, numbers
from client.inputs.images import JpegImage, encoded_image, is_image
from client.inputs.waveform import Waveform

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

Payload: TypeAlias = (
    "bytes | str | Path | Mapping[str, Any] | Sequence[Any] | Waveform | JpegImage | Image | NDArray[Any] | Tensor"
)
Parameters = Mapping[str, str | int | float | bool]

OCTETS = "application/octet-stream"
# Listed here because the systems' tables differ, for example in audio/x-wav and audio/x-flac.
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
    """The media type of an image or recording by its first bytes, or "" if unknown."""
    for start, media_type in BY_START.items():
        if data.startswith(start):
            return media_type
    if data.startswith(b"RIFF"):
        return BY_RIFF_FORM.get(data[8:12], "")
    if data[4:12] == b"ftypavif":
        return "image/avif"
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "image/heic"
    # An MPEG layer III frame without a preceding tag: 11 set bits, the version, the bits 01.
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    return ""


def encode(payload: Payload, content_type: str | None = None) -> tuple[bytes, str]:
    """Encode a payload and return the body and its content type; `content_type` overrides the detected one.

    bytes: detected from the first bytes. Path: by its suffix, otherwise like bytes. str: text/plain in UTF-8. A Pillow
    image, a uint8 array (height, width, 3) or tensor (3, height, width): PNG, or TIFF for modes that PNG does not
    support. JpegImage: JPEG. Waveform: WAV. Other arrays and tensors, mappings and sequences: JSON; raises ValueError
    for NaN and infinities, which JSON cannot represent.
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
    elif isinstance(payload, (Waveform, JpegImage)):
        body, found = payload.encoded()
    elif is_image(payload):
        body, found = encoded_image(payload)
    elif isinstance(payload, (Mapping, Sequence)):
        body, found = to_json(payload), "application/json"
    elif is_array(payload):
        if getattr(payload, "ndim", 0) == 0:
            raise ValueError("payload: got a single number, wanted an array with at least one dimension")
        body, found = to_json(payload), "application/json"
    else:
        raise TypeError(
            f"payload: got {type(payload).__name__}, wanted bytes, str, Path, a mapping, a sequence, an image, "
            "a Waveform, an array or a tensor"
        )
    return body, content_type or found


def to_json(value: Any) -> bytes:
    """Encode as compact JSON; arrays and tensors at any depth become lists of numbers."""
    return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    if is_array(value):
        return numbers(value)
    raise TypeError(
        f"payload: contains a {type(value).__name__}, which is not JSON; wanted numbers, text, lists and objects"
    )


def texts(parameters: Parameters | None) -> dict[str, str]:
    """Convert parameters to text. Raises ValueError for a reserved name."""
    taken = RESERVED & set(parameters or ())
    if taken:
        raise ValueError(f"parameters: {', '.join(sorted(taken))} is reserved")
    return {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in (parameters or {}).items()}
