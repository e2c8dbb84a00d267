"""Segments of a transcript as subtitles: SubRip's SRT, and WebVTT (https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def srt(segments: Sequence[dict[str, Any]]) -> str:
    """segments: {"text", "start", "end"}, in seconds."""
    cues = [f"{number}\n{times(each, ',')}\n{line(each)}\n\n" for number, each in enumerate(segments, 1)]
    return "".join(cues) or "\n"


def vtt(segments: Sequence[dict[str, Any]]) -> str:
    escaped = [{**each, "text": each["text"].replace("&", "&amp;").replace("<", "&lt;")} for each in segments]
    return "WEBVTT\n\n" + "".join(f"{times(each, '.')}\n{line(each)}\n\n" for each in escaped)


def line(segment: dict[str, Any]) -> str:
    """Of one line, and without the arrow that separates times."""
    return " ".join(segment["text"].split()).replace("-->", "->")


def times(segment: dict[str, Any], point: str) -> str:
    return " --> ".join(clock(segment[name], point) for name in ("start", "end"))


def clock(seconds: float, point: str) -> str:
    """`3661.5` → `01:01:01,500`."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
