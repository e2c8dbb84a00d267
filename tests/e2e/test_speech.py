"""Speech recognition over both protocols, whole and in pieces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from client import InvalidInput
from tests.e2e.conftest import Predict
from tests.inputs import noise, recording

# Of the tiny models: letters by a CTC model with windows of 1.2 seconds, and a Whisper that hears two.
MODELS = {"tiny-letters": ("words", 1.2), "tiny-whisper": ("segments", 2.0)}


@pytest.mark.parametrize("model", MODELS)
def test_a_text_equals_that_of_transformers(client: Predict, tiny_archive: Callable[[str], Path], model: str) -> None:
    weights = tiny_archive(model).parents[1] / model / "artifact" / "weights"
    reference: Any = pipeline("automatic-speech-recognition", str(weights))
    unit, seconds = MODELS[model]
    options: dict[str, Any] = {"chunk_length_s": seconds, "ignore_warning": True}
    if model == "tiny-whisper":
        options["generate_kwargs"] = {"num_beams": 1, "max_new_tokens": 60, "task": "transcribe", "language": "de"}
    parameters = {"language": "de"} if model == "tiny-whisper" else {}
    for samples in (noise(0.9, 0), noise(4.1, 7)):
        answer = client.predict(model, recording(samples), parameters=parameters).json()
        assert answer["text"] == reference(samples, **options)["text"].strip()
        with_times = client.predict(
            model, recording(samples), parameters={"timestamps": unit.removesuffix("s"), **parameters}
        ).json()
        assert all(part["end"] is not None for part in with_times[unit])
        words = client.predict(model, recording(samples), parameters={"timestamps": "word", **parameters}).json()
        length = len(samples) / 16_000
        assert all(0 <= part[side] <= length for part in words["words"] for side in ("start", "end"))
        assert "".join(part["text"] for part in words["words"]).replace(" ", "") == words["text"].replace(" ", "")


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_is_the_whole_answer_in_pieces(client: Predict, model: str) -> None:
    for samples in (noise(0.9, 0), noise(4.1, 7)):
        whole = client.predict(model, recording(samples)).json()
        pieces = [piece.json() for piece in client.stream(model, recording(samples))]
        assert len(pieces) > 1
        assert "".join(piece["text"] for piece in pieces) == whole["text"]
        assert {**pieces[-1], "text": whole["text"]} == whole


def test_a_stream_that_is_refused(client: Predict) -> None:
    with pytest.raises(InvalidInput, match="language"):
        list(client.stream("tiny-whisper", recording(noise(0.5, 0)), parameters={"language": "Klingon"}))
