"""Hostile bodies for one model: what its task takes, broken or excessive, and what it does not take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.chaos.inputs import json_bodies, media
from tests.chaos.inputs.mutations import mutated

Draw = Callable[[st.SearchStrategy[Any]], Any]
IMAGE_MODELS = ("tiny-image", "tiny-detection", "tiny-instance", "tiny-semantic")
AUDIO_MODELS = ("tiny-keywords", "tiny-sound", "tiny-voice")
TEXT_MODELS = ("tiny-text", "tiny-embedding", "tiny-entities", "tiny-answers", "tiny-writer")
MODELS = (*IMAGE_MODELS, *AUDIO_MODELS, *TEXT_MODELS, "tiny-policy")
PLAIN_TEXTS = (
    *(b"", b" \n\t", b"\xff\xfe\x00", b"\xed\xa0\x80", b"\x00" * 50, b"x" * 100_001, b"a " * 40_000),
    *("🚉\u202e".encode(), "e\u0301".encode() * 3000, b"[END]" * 20, "ﷺ".encode() * 2000),
)


@dataclass(frozen=True)
class Body:
    """kind: how it was made, for the report. content_type: the honest one."""

    kind: str
    content_type: str
    data: bytes


def of_kind(kind: str, drawn: st.SearchStrategy[tuple[str, bytes]]) -> st.SearchStrategy[Body]:
    return drawn.map(lambda made: Body(kind, *made))


def files(samples: Sequence[bytes], content_type: str) -> st.SearchStrategy[tuple[str, bytes]]:
    return mutated(samples).map(lambda data: (content_type, data))


@cache
def for_model(model: str) -> st.SearchStrategy[Body]:
    """Half of all are of the kind that the model takes."""
    broken_images = of_kind("broken image", files(media.image_samples(), ""))
    images = of_kind("odd image", media.images())
    broken_sound = of_kind("broken recording", files(media.audio_samples(), ""))
    sound = of_kind("odd recording", media.drawn_recording())
    texts = of_kind("text", st.tuples(st.just("text/plain"), st.sampled_from(PLAIN_TEXTS) | st.binary(max_size=60)))
    json = of_kind("JSON", json_bodies.texts(good_values(model)).map(lambda data: ("application/json", data)))
    if model in IMAGE_MODELS:
        own = broken_images | images | (broken_images | images).map(as_base64)
    elif model in AUDIO_MODELS:
        own = broken_sound | sound | (broken_sound | sound).map(as_base64)
    elif model in TEXT_MODELS:
        own = texts | json
    else:
        own = json
    return st.one_of(own, own, own, json, texts, images, sound)


def as_base64(body: Body) -> Body:
    data = json_bodies.as_text({"data": json_bodies.in_base64(body.data)}).encode()
    return Body(f"{body.kind} in base64", "application/json", data)


@cache
def good_values(model: str) -> list[Any]:
    """JSON values that a model takes as data."""
    if model in IMAGE_MODELS:
        return [json_bodies.in_base64(media.image_samples()[0]), [[[0, 128, 255]] * 8] * 8]
    if model in AUDIO_MODELS:
        return [json_bodies.in_base64(media.audio_samples()[0]), [0.0, 0.5] * 800]
    if model in TEXT_MODELS:
        return ["Where is the station?", {"question": "Who?", "context": "Marie Curie was born in Warsaw."}]
    return [[0.1, 0.2, 0.3, 0.4]]
