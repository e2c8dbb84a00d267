"""Joining the texts of overlapping windows, against transformers' own function."""

import numpy as np
import pytest
from transformers.models.whisper.tokenization_whisper import _find_longest_common_sequence

from handlers.audio.recognition.overlap import joint, settled_tokens


def texts(seed: int) -> list[list[int]]:
    """Parts of one text that overlap, with mistakes, and now and then one that has nothing to do with it."""
    random = np.random.default_rng(seed)
    said = random.integers(0, int(random.choice([2, 8, 400])), 120).tolist()
    parts = []
    for start in range(0, 100, int(random.integers(8, 25))):
        part = said[start : start + int(random.integers(1, 40))]
        parts.append([token if random.random() > 0.1 else int(random.integers(0, 400)) for token in part])
    return parts


@pytest.mark.parametrize("seed", range(60))
def test_two_texts_are_joined_as_transformers_joins_them(seed: int) -> None:
    for left, right in zip(texts(seed), texts(seed)[1:], strict=False):
        end, start = joint(left, right)
        assert left[:end] + right[start:] == _find_longest_common_sequence([left, right])


@pytest.mark.parametrize("seed", range(30))
def test_what_is_settled_stays(seed: int) -> None:
    parts = texts(seed)
    whole = _find_longest_common_sequence(parts)
    before: list[int] = []
    for count in range(1, len(parts) + 1):
        settled = settled_tokens([[], *parts[:count]])
        assert settled[: len(before)] == before
        assert whole[: len(settled)] == settled
        before = settled
    assert len(before) > 20
