"""Files as careless writers leave them, which are answered, and as attackers make them, which cost next to nothing."""

import resource
import struct
import time

import numpy as np
import pytest

from handlers.audio.containers.mp3 import first_frame
from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from tests.handlers.audio.recordings import RATE, decoded, encoded
from tests.recordings import speech, tone

SOUND = tone(440, 1.0)
MEBIBYTE = 1 << 20


WAV, MP3 = encoded(SOUND, subtype="PCM_16"), encoded(SOUND, "MP3")
DATA = WAV.index(b"data") + 4


def streamed(riff: int, data: int, between: bytes = b"") -> bytes:
    """The WAV with these lengths, and a chunk before its samples."""
    start = DATA - 4
    return (
        WAV[:4]
        + struct.pack("<I", riff)
        + WAV[8:start]
        + between
        + b"data"
        + struct.pack("<I", data)
        + WAV[start + 8 :]
    )


@pytest.mark.parametrize(
    "wav",
    [
        streamed(0, 0),
        streamed(36, 0),
        streamed(0xFFFFFFFF, 0xFFFFFFFF),
        streamed(0x7FFFF024, 0x7FFFF000),
        streamed(len(WAV) - 8, 0),
        streamed(0, 0, b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf58.29.100\0"),
        streamed(0, 0, b"odd \x03\0\0\0abc\0"),
    ],
)
def test_a_wav_whose_writer_did_not_know_its_length(wav: bytes) -> None:
    np.testing.assert_allclose(decoded(wav), SOUND, atol=1e-4)


@pytest.mark.parametrize("behind", [b"", b"LIST\x04\0\0\0INFO", b"LIST\x05\0\0\0INFOx\0fact\x04\0\0\0\0\0\0\0"])
def test_a_wav_without_samples_is_not_given_its_other_chunks_for_samples(behind: bytes) -> None:
    with pytest.raises(InvalidInput, match="no samples"):
        decoded(WAV[:DATA] + b"\0\0\0\0" + behind)


@pytest.mark.parametrize("unknown", [b"\0", b"\xff"])
@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_an_rf64_that_was_not_closed(name: bytes, unknown: bytes) -> None:
    whole = name + encoded(SOUND, "RF64", "PCM_16")[4:]
    at = whole.index(b"ds64") + 8
    np.testing.assert_allclose(decoded(whole), SOUND, atol=1e-4)
    np.testing.assert_allclose(decoded(whole[:at] + unknown * 24 + whole[at + 24 :]), SOUND, atol=1e-4)


ID3 = b"ID3\x04\0\0\0\0\0\x0a" + b"\0" * 10
JUNK = np.random.default_rng(0).bytes(5_000)


@pytest.mark.parametrize(
    "before",
    [
        b"\0",
        b"\0" * 417,
        b"\0" * 200_000,
        ID3,
        ID3 + b"\0" * 3_000,
        ID3 + ID3 + JUNK,
        JUNK,
        b"HTTP/1.1 200 OK\r\n\r\n",
        MP3[-40:],
        b"\xff\xfb",
        b"\xff" * 700,
    ],
)
def test_an_mp3_whose_first_frame_is_not_at_its_start(before: bytes) -> None:
    """The same sound as without it."""
    np.testing.assert_array_equal(decoded(before + MP3), decoded(MP3))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_the_links_of_an_ogg_chain_follow_each_other(subtype: str) -> None:
    """Of another rate and in stereo, too."""
    one = encoded(tone(440, 1.0, 48_000), "OGG", subtype, 48_000)
    two = encoded(np.stack([tone(880, 0.5, 24_000)] * 2, axis=1), "OGG", subtype, 24_000)
    found = decoded(one + two)
    assert len(found) == pytest.approx(1.5 * RATE, abs=RATE // 50)
    for part, hertz in ((found[:RATE], 440), (found[RATE + 800 :], 880)):
        strongest = np.abs(np.fft.rfft(part * np.hanning(len(part)))).argmax() * RATE / len(part)
        assert strongest == pytest.approx(hertz, abs=4)
    gap = one.index(b"OggS", 100)
    for broken in (one[:gap] + b"\0" * 999 + one[gap:], one + b"OggS\0trailing"):
        np.testing.assert_array_equal(decoded(broken), decoded(one))


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_channels_that_cancel_each_other_are_silence(kind: str, subtype: str) -> None:
    """Also where a lossy format leaves noise of them; channels of opposite phase and unequal level are averaged."""
    voice = speech(rate=44_100)
    subtype_of = {"FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(kind, subtype)
    opposite = encoded(np.stack([voice, -voice], axis=1), kind, subtype_of, 44_100)
    assert decoded(opposite).max() - decoded(opposite).min() < 1e-4
    weaker = encoded(np.stack([voice, -0.7 * voice], axis=1), kind, subtype_of, 44_100)
    assert np.abs(decoded(weaker)).max() > 0.05 * np.abs(voice).max()


@pytest.mark.parametrize("rate", [0, 1, 999, 384_001, 0x7FFFFFFF, 0xFFFFFFFF])
def test_rates_that_nothing_has(rate: int) -> None:
    with pytest.raises(InvalidInput, match=r"got|wanted 1000 to 384000"):
        decoded(WAV[:24] + struct.pack("<I", rate) + WAV[28:])


def flac_blocks(count: int) -> bytes:
    whole = encoded(SOUND, "FLAC")
    return whole[:4] + b"\0" + whole[5:42] + b"\x01\0\0\0" * count + whole[42:]


def flac_of(samples: int, carries: int) -> bytes:
    """A FLAC whose header says another number of samples than it carries."""
    whole = encoded(np.zeros(carries, np.float32), "FLAC")
    bits = int.from_bytes(whole[18:26], "big")
    return whole[:18] + (bits >> 36 << 36 | samples).to_bytes(8, "big") + whole[26:]


def ogg(*, pages: int = 0, links: int = 1, junk: int = 0) -> bytes:
    whole = encoded(SOUND, "OGG", "VORBIS") * links
    empty = b"OggS\0\0" + bytes(21)
    gap = whole.rindex(b"OggS")
    return whole[:gap] + b"OggS" * (junk // 4) + empty * pages + whole[gap:]


def wide(channels: int, seconds: float, kind: str, subtype: str, rate: int = 48_000) -> bytes:
    return encoded(np.zeros((int(seconds * rate), channels), np.float32), kind, subtype, rate)


def lying_wav(channels: int, rate: int) -> bytes:
    """Of 44 bytes, whose header says gigabytes."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + form + b"data\xff\xff\xff\xff"


HOSTILE: dict[str, tuple[bytes, type[RequestError] | None]] = {
    "chunks of a WAV": (WAV[:12] + b"JUNK\0\0\0\0" * 2_000_000 + WAV[12:], MalformedInput),
    "blocks of a FLAC": (flac_blocks(3_000_000), MalformedInput),
    "false pages of an Ogg": (ogg(junk=12 * MEBIBYTE), None),
    "empty pages of an Ogg": (ogg(pages=500_000), TooLarge),
    "links of an Ogg": (ogg(links=2_000), TooLarge),
    "tags of an MP3": (b"ID3\x04\0\0\0\0\0\0" * 1_500_000 + MP3, MalformedInput),
    "sync words without frames": (b"\xff\xfb\x90\0" * 4_000_000, None),
    "ones": (b"\xff" * 15 * MEBIBYTE, MalformedInput),
    "255 channels of Opus": (wide(255, 3.0, "OGG", "OPUS"), TooLarge),
    "255 channels of Vorbis": (wide(255, 3.0, "OGG", "VORBIS"), TooLarge),
    "8 channels at 384 kHz": (wide(8, 5.0, "FLAC", "PCM_16", 384_000), TooLarge),
    "1000 channels": (wide(1_000, 0.3, "WAV", "PCM_U8"), TooLarge),
    "minutes of FLAC silence": (wide(1, 100.0, "FLAC", "PCM_16"), TooLarge),
    "minutes of MP3 silence": (wide(1, 100.0, "MP3", "MPEG_LAYER_III"), TooLarge),
    "a FLAC that says too much": (flac_of((1 << 36) - 1, 1_000), TooLarge),
    "a FLAC that does not say, and has too much": (flac_of(0, 2_000_000), TooLarge),
    "a FLAC that says too little": (flac_of(10, 2_000_000), None),
    "a WAV that says too much": (lying_wav(1_000, 384_000), InvalidInput),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(name: str) -> None:
    """In processor time and memory: an honest minute in stereo takes more of both."""
    data, wanted = HOSTILE[name]
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = ""
    try:
        decoded(data)
        found = None
    except RequestError as error:
        found, message = type(error), str(error)
    assert time.process_time() - before < 1.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000  # KiB
    assert wanted is None or found is wanted
    assert len(message) <= 300
    assert "0x" not in message


def test_the_limit_on_samples_counts_all_channels() -> None:
    stereo = np.stack([SOUND, SOUND], axis=1)
    assert len(decoded(encoded(stereo, "FLAC"), max_samples=2 * RATE)) == RATE
    with pytest.raises(TooLarge, match=r"2 channels at 16000 Hz, 1\.0 seconds"):
        decoded(encoded(stereo, "FLAC"), max_samples=2 * RATE - 1)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(SOUND, "AIFF"), "AIFF"),
        (encoded(SOUND, "CAF"), "CAF"),
        (encoded(SOUND, "W64"), "Wave64"),
        (b"GIF89a" + bytes(50), "GIF"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(50), "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
        (b"\0\0\0\x1cftypavif" + bytes(50), "AVIF"),
        (b"\0\0\0\x1cftypheic" + bytes(50), "HEIC"),
    ],
)
def test_formats_that_no_model_takes_are_named(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"format is {name}"):
        decoded(data)


def test_no_frame_where_there_is_none() -> None:
    assert first_frame(np.random.default_rng(1).bytes(1 << 17), 0) is None
