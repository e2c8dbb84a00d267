"""The length of MPEG audio whose header does not say it, or says too little.

libsndfile reads as many frames as the first one announces (Xing, Info or VBRI; of a file whose parts were put together,
those of the first part) or, where it announces none, as would fit into the file if all were as large as the first. So
frames are counted here, and an announcement is put before them that says so.
"""

from __future__ import annotations

import struct

from handlers.audio.containers.mp3 import FRAMES, SEARCHED, SYNC, Frame, first_frame, frame_at, tags_end
from handlers.audio.limits import Limits
from handlers.errors import InvalidInput

COUNTED = struct.Struct(">4sII")  # a name, flags, of which the first says that a number of frames follows, and that
HAS_FRAMES = 1
# By whether it is MPEG 1 and mono: the bytes between an announcing frame's header and the announcement.
SIDE_INFORMATION = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
VBRI, VBRI_FRAMES = 36, 14
BIT_RATE = 0x90  # 128 or 80 kilobits a second: a frame with room for an announcement
SLACK = 2  # frames that an encoder may not have counted


def with_length(data: bytes, limits: Limits) -> bytes:
    """The file, with an announcement of its own where libsndfile would read less than all of it, and without what
    stands between its frames.

    Raises TooLarge above the limits, InvalidInput for layers 1 and 2 in such a file, which have no announcement.
    """
    start = first_frame(data, tags_end(data))
    first = frame_at(data, start) if start is not None else None
    if start is None or first is None:
        return data
    announced = announcement(data, start, first)
    begin = start if announced is None else start + first.size
    count, constant, spans = counted(data, begin, first, limits)
    known = constant if announced is None else announced + SLACK >= count
    if known and len(spans) == 1:
        return data
    if not known and first.layer != 3:
        raise InvalidInput("the recording is MPEG audio of layer 1 or 2 with a varying bit rate; wanted layer 3, MP3")
    beginning = data[start:begin] if known else announcing(data[start : start + 4], first, count)
    return b"".join([beginning, *(data[begin:end] for begin, end in spans)])


def counted(data: bytes, at: int, first: Frame, limits: Limits) -> tuple[int, bool, list[tuple[int, int]]]:
    """(number of frames like the first from `at` on, whether all have its bit rate, where they begin and end).

    Up to 64 KiB in all between frames are passed over: tags, or what was lost. Raises TooLarge above the limits.
    """
    number, constant, left, spans = 0, True, SEARCHED, [(at, at)]
    most = limits.frames(first.rate, first.channels)
    while True:
        frame = frame_at(data, at)
        if frame is not None and frame.layer == first.layer and frame.rate == first.rate:
            constant = constant and abs(frame.size - first.size) <= 1
            number, at = number + 1, at + frame.size
            spans[-1] = (spans[-1][0], at)
            if number * first.samples > most + first.samples * SLACK:
                limits.check(number * first.samples, first.rate, first.channels)
            continue
        found = next_run(data, at, left, first)
        if found is None:
            return number, constant, spans
        left, at = left - (found - at), found
        spans.append((at, at))


def next_run(data: bytes, at: int, left: int, first: Frame) -> int | None:
    """Where frames like the first stand in a row again, within `left` bytes."""
    for match in SYNC.finditer(data, at, min(len(data), at + left)):
        place = match.start()
        for _ in range(FRAMES):
            frame = frame_at(data, place)
            if frame is None or (frame.layer, frame.rate) != (first.layer, first.rate):
                break
            place += frame.size
        else:
            return match.start()
    return None


def announcement(data: bytes, at: int, first: Frame) -> int | None:
    """The number of frames that the first one announces, None where it does not: it is then sound itself."""
    name, flags, frames = unpacked(data, at + 4 + side_information(data, at, first))
    if name in (b"Xing", b"Info"):
        return frames if flags & HAS_FRAMES else 0
    if data[at + VBRI : at + VBRI + 4] == b"VBRI":
        return int.from_bytes(data[at + VBRI + VBRI_FRAMES : at + VBRI + VBRI_FRAMES + 4], "big")
    return None


def unpacked(data: bytes, at: int) -> tuple[bytes, int, int]:
    found: tuple[bytes, int, int] = COUNTED.unpack(data[at : at + COUNTED.size].ljust(COUNTED.size, b"\0"))
    return found


def side_information(data: bytes, at: int, frame: Frame) -> int:
    return SIDE_INFORMATION[data[at + 1] >> 3 & 3 == 3, frame.channels == 1]


def announcing(header: bytes, first: Frame, count: int) -> bytes:
    """A silent frame like the first that announces `count` frames."""
    own = bytes((header[0], header[1] | 1, BIT_RATE | header[2] & 0x0C, header[3]))  # 1: without a checksum
    frame = frame_at(own, 0)
    size = frame.size if frame else 0
    body = bytes(side_information(own, 0, first)) + COUNTED.pack(b"Xing", HAS_FRAMES, count)
    return (own + body).ljust(size, b"\0")
