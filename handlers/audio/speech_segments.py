"""Segments of speech from the probability of each frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Speech ends below this much less than what it begins at: a probability that wavers does not cut it up.
HYSTERESIS = 0.15
LOWEST = 0.01

Segment = tuple[float, float]


@dataclass(frozen=True)
class Segmentation:
    """threshold: the probability from which a frame is speech. pad_seconds: added on both sides of a segment.

    min_speech_seconds: what is no longer than that is left out. min_silence_seconds: a shorter pause is part of the
    speech. The defaults are Silero VAD's.
    """

    threshold: float = 0.5
    min_speech_seconds: float = 0.25
    min_silence_seconds: float = 0.1
    pad_seconds: float = 0.03


def find_segments(
    probabilities: Iterable[float], frame_seconds: float, seconds: float, settings: Segmentation
) -> list[Segment]:
    """(start, end) of each segment in seconds, in order and without overlap. seconds: of the recording.

    A segment starts with the first frame at or above the threshold, and ends where the probability fell 0.15 below it
    if it stays down for min_silence_seconds.
    """
    lower = max(settings.threshold - HYSTERESIS, LOWEST)
    segments: list[Segment] = []
    start: float | None = None
    fell: float | None = None
    for index, probability in enumerate(probabilities):
        now = index * frame_seconds
        if probability >= settings.threshold:
            fell = None
            start = now if start is None else start
        elif start is not None and probability < lower:
            fell = now if fell is None else fell
            if now - fell >= settings.min_silence_seconds:
                segments.append((start, fell))
                start = fell = None
    if start is not None:
        segments.append((start, seconds))
    long_enough = [(first, last) for first, last in segments if last - first > settings.min_speech_seconds]
    return pad(long_enough, settings.pad_seconds, seconds)


def pad(segments: list[Segment], padding: float, seconds: float) -> list[Segment]:
    """Each segment longer by `padding` on both sides; neighbours meet in the middle of a pause too short for both."""
    starts = [max(0.0, start - padding) for start, _ in segments]
    ends = [min(seconds, end + padding) for _, end in segments]
    for index in range(len(segments) - 1):
        if ends[index] > starts[index + 1]:
            ends[index] = starts[index + 1] = (segments[index][1] + segments[index + 1][0]) / 2
    return list(zip(starts, ends, strict=True))
