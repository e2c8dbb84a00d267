"""Recordings, and their transcripts by transformers' own pipeline."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.inputs import noise, recording

CTC, WHISPER = ("tiny-letters", "tiny-masked"), ("tiny-whisper", "tiny-english")


UNITS = {**dict.fromkeys(CTC, "word"), **dict.fromkeys(WHISPER, "segment")}


@cache
def recordings() -> list[np.ndarray]:
    """Shorter than a window and longer, some of one length."""
    long = np.concatenate([noise(0.95, seed) * loudness for seed, loudness in enumerate((1, 0.1, 1.5, 0.3), 10)])
    return [noise(0.7, 0), long, noise(0.7, 1), noise(2.3, 2)]


def wav(samples: np.ndarray, **parameters: Any) -> dict[str, Any]:
    extra = {name: str(value).encode() for name, value in parameters.items()}
    return {"body": recording(samples), "content-type": b"audio/wav", **extra}


def check(answer: dict[str, Any], reference: dict[str, Any], seconds: float) -> None:
    """The pipeline leaves the space before the text, and leaves open when a segment ended that was cut off."""
    assert answer["text"] == reference["text"].strip()
    parts = answer.get("words", answer.get("segments"))
    assert (parts is None) == ("chunks" not in reference)
    if "words" in answer:
        for part, chunk in zip(answer["words"], reference["chunks"], strict=True):
            # Behind the sound transformers leaves out some of the silence, and aligns with what is left.
            assert part["text"] == chunk["text"].strip()
            wanted = [min(time, seconds) for time in chunk["timestamp"]]
            assert [part["start"], part["end"]] == pytest.approx(wanted, abs=0.011)
        return
    last = 0.0
    for part, chunk in zip(parts or [], reference.get("chunks", []), strict=True):
        start, end = chunk["timestamp"]
        start = last if start is None else start
        last = max(start, seconds) if end is None else end
        assert part == {"text": chunk["text"].strip(), "start": pytest.approx(start), "end": pytest.approx(last)}
