"""MPEG audio: where its frames begin (ISO 11172-3, ISO 13818-3), behind tags (ID3v2) or anything else."""

from __future__ import annotations

import re
from typing import NamedTuple

# Kilobits a second by the header's index: of MPEG 1's layers 1, 2 and 3, and of MPEG 2's layer 1, and 2 and 3.
BIT_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44_100, 48_000, 32_000)
TAG_BYTES = 10
MAX_TAGS = 8
# How far behind tags and zeros the first frame is looked for, and how many in a row make it one.
SEARCHED = 1 << 16
FRAMES = 3
SYNC = re.compile(rb"\xff[\xe2-\xff]")


def tags_end(data: bytes) -> int:
    """Where what follows the ID3v2 tags at the beginning starts."""
    end = 0
    for _ in range(MAX_TAGS):
        tag = data[end : end + TAG_BYTES]
        if tag[:3] != b"ID3" or len(tag) < TAG_BYTES or max(tag[6:]) > 0x7F:
            break
        footer = TAG_BYTES if tag[5] & 0x10 else 0
        end += TAG_BYTES + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]) + footer
    return end


class Frame(NamedTuple):
    """size: bytes. samples: of each channel."""

    layer: int
    size: int
    rate: int
    samples: int
    channels: int


def frame_bytes(data: bytes, at: int) -> int | None:
    """The length of the frame whose header stands there; None where there is none."""
    frame = frame_at(data, at)
    return frame.size if frame else None


def frame_at(data: bytes, at: int) -> Frame | None:
    header = data[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    index, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or rate == 3:
        return None
    mpeg = 1 if version == 3 else 2
    hertz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = BIT_RATES[mpeg, layer][index - 1] * 1000
    channels = 1 if header[3] >> 6 == 3 else 2
    if layer == 1:
        return Frame(layer, (12 * bits // hertz + padding) * 4, hertz, 384, channels)
    samples = 576 if mpeg == 2 and layer == 3 else 1152
    return Frame(layer, samples // 8 * bits // hertz + padding, hertz, samples, channels)


def is_frame(data: bytes, at: int, frames: int = FRAMES) -> bool:
    """`frames` of one version, layer and rate stand there in a row, or as many as the data has."""
    first = data[at + 1 : at + 3]
    for number in range(frames):
        size = frame_bytes(data, at)
        if size is None:
            return number > 0 and (at >= len(data) or data[at : at + 3] == b"TAG")
        if data[at + 1] >> 1 != first[0] >> 1 or data[at + 2] & 0x0C != first[1] & 0x0C:
            return False
        at += size
    return True


def first_frame(data: bytes, start: int) -> int | None:
    """Where the first frame stands: behind zeros, however many, and up to 64 KiB of anything else."""
    begin = len(data) - len(data[start:].lstrip(b"\0"))
    for match in SYNC.finditer(data, begin, begin + SEARCHED):
        if is_frame(data, match.start()):
            return match.start()
    return None
