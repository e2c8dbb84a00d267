"""The format of a file, by its first bytes."""

from __future__ import annotations

from enum import Enum

from handlers.audio.containers.mp3 import first_frame, is_frame, tags_end
from handlers.errors import MalformedInput, UnsupportedMedia


class Kind(Enum):
    """The value is the format's name."""

    WAV = "WAV"
    FLAC = "FLAC"
    OGG = "OGG"
    MP3 = "MP3"
    M4A = "M4A"
    AAC = "AAC"
    WEBM = "WebM"


SIGNATURES = {
    b"fLaC": Kind.FLAC,
    b"OggS": Kind.OGG,
    b"\x1aE\xdf\xa3": Kind.WEBM,
}
# Formats that are asked for by mistake rather than by malice, to name them in the answer.
OTHERS = {
    b"FORM": "AIFF",
    b".snd": "AU",
    b"caff": "CAF",
    b"riff": "Wave64",
    b"#!AM": "AMR",
    b"0&\xb2u": "WMA",
    b"wvpk": "WavPack",
    b"MThd": "MIDI",
    b"MAC ": "Monkey's Audio",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff\xe0": "JPEG",
    b"\xff\xd8\xff\xe1": "JPEG",
    b"GIF8": "GIF",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP",
}
# Images in the container of M4A (ISO/IEC 14496-12).
IMAGES = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF"}


def recognise(data: bytes) -> tuple[Kind, int]:
    """The format, and where in the data it begins: some files have tags, zeros or a torn frame before their sound.

    Raises UnsupportedMedia for a format that no model takes, MalformedInput for one that is not known.
    """
    start = tags_end(data)
    head = data[start : start + 12]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:] == b"WAVE":
        return Kind.WAV, start
    if head[:4] in SIGNATURES:
        return SIGNATURES[head[:4]], start
    if head[4:8] == b"ftyp":
        if head[8:] in IMAGES:
            raise other(IMAGES[head[8:]])
        return Kind.M4A, start
    # ADTS: twelve bits of ones, and two zeros where an MPEG frame has its layer.
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return Kind.AAC, start
    if is_frame(data, start):
        return Kind.MP3, 0
    if head[:4] in OTHERS:
        raise other(OTHERS[head[:4]])
    frame = first_frame(data, start)
    if frame is None and head[:1] == b"\xff" and head[1:2] >= b"\xe2":
        return Kind.MP3, 0  # its frames may have a length of their own ("free format"): libsndfile knows
    if frame is None:
        raise MalformedInput("the recording is broken or of no known format; wanted WAV, FLAC, OGG, MP3, M4A or WebM")
    return Kind.MP3, frame


def other(name: str) -> UnsupportedMedia:
    return UnsupportedMedia(f"the recording's format is {name}; wanted WAV, FLAC, OGG, MP3, M4A or WebM")
