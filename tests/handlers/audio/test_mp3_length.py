"""MP3 with a varying bit rate is read whole, whatever its first frame announces."""

import io

import numpy as np
import pytest
import soundfile

from handlers.audio.containers.mp3 import frame_at, tags_end
from handlers.audio.containers.mp3_length import announcement, with_length
from handlers.audio.decoding import Samples, from_file
from handlers.audio.limits import Limits
from handlers.errors import InvalidInput, TooLarge

LIMITS = Limits(60, 12_000_000)
SECONDS = 6
ID3 = b"ID3\x04\x00\x00\x00\x00\x0a\x00" + bytes(10 << 7)
ID3V1 = b"TAG" + bytes(125)


def encoded(rate: int, channels: int, mode: str) -> bytes:
    """Tone and near silence in turns, which need frames of different sizes."""
    times = np.arange(rate * SECONDS) / rate
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(times))
    samples = np.stack([0.3 * np.sin(2 * np.pi * 440 * times) * (times % 2 < 1) + noise] * channels, axis=1)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, channels, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode=mode, compression_level=0.5
    ) as file:
        file.write(samples)
    return buffer.getvalue()


def without_announcement(data: bytes) -> bytes:
    start = tags_end(data)
    first = frame_at(data, start)
    assert first is not None
    assert announcement(data, start, first) is not None
    return data[start + first.size :]


def decoded(data: bytes) -> Samples:
    return from_file(data, "audio/mpeg", LIMITS)[1]


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (22_050, 2), (44_100, 1), (48_000, 2)])
def test_read_whole_without_an_announcement(rate: int, channels: int) -> None:
    whole = encoded(rate, channels, "VARIABLE")
    bare = without_announcement(whole)
    with soundfile.SoundFile(io.BytesIO(bare)) as file:
        assert abs(file.frames - rate * SECONDS) > rate // 2  # what libsndfile makes of it by itself
    found, expected = decoded(bare), decoded(whole)
    # Without the announcement nothing says how many samples the encoder put in front: they are there as well.
    delay = int(np.argmax([np.vdot(found[lag : lag + rate], expected[:rate]) for lag in range(2500)]))
    middle = expected[rate:-rate]
    np.testing.assert_allclose(found[delay + rate :][: len(middle)], middle, atol=1e-6)
    assert 0 <= len(found) - len(expected) < 3000


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_parts_put_together_are_read_to_the_end(mode: str) -> None:
    whole = encoded(16_000, 1, mode)
    bare = without_announcement(whole)
    for parts in ([whole, whole], [bare, bare], [ID3, whole, ID3V1, whole, ID3V1], [bare, bytes(3000), bare]):
        seconds = len(decoded(b"".join(parts))) / 16_000
        assert seconds == pytest.approx(2 * SECONDS, abs=0.3)


def test_what_says_its_length_or_has_one_bit_rate_stays_as_it_is() -> None:
    for data in (encoded(16_000, 1, "VARIABLE"), encoded(16_000, 2, "CONSTANT")):
        assert with_length(data, LIMITS) is data
    constant = without_announcement(encoded(44_100, 1, "CONSTANT"))
    assert with_length(constant, LIMITS) is constant


def test_limits_hold_before_anything_is_decoded() -> None:
    bare = without_announcement(encoded(16_000, 1, "VARIABLE"))
    with pytest.raises(TooLarge, match="longer than the limit of 5 seconds"):
        with_length(bare, Limits(5, 12_000_000))
    with pytest.raises(TooLarge, match="more samples than the limit"):
        with_length(bare, Limits(60, 10_000))


def test_layers_that_have_no_announcement() -> None:
    slow, fast = (bytes((0xFF, 0xFD, index << 4, 0)) for index in (8, 10))
    frames = [header + bytes(size) for header, size in ((slow, 413), (fast, 622))]
    sizes = [frame_at(frame, 0) for frame in frames]
    assert [size and size.size for size in sizes] == [len(frame) for frame in frames]
    with pytest.raises(InvalidInput, match="layer 1 or 2 with a varying bit rate"):
        with_length((frames[0] * 4 + frames[1] * 4) * 4, LIMITS)
