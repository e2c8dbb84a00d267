"""Speech recognition against transformers' own pipeline: whole, by windows, with timestamps, in batches, in pieces."""

import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from transformers import AutoProcessor, pipeline
from transformers.models.whisper.generation_whisper import _dynamic_time_warping

from handlers.audio.recognition.alignment import warping_path
from handlers.audio.recognition.window import Window
from tests.handlers.audio.speech import UNITS, WHISPER, check, recordings, wav
from tests.handlers.frontend import frontend_of, sent
from tests.handlers.worker import Worker
from tests.inputs import RATE, noise

CASES = [(name, timestamps) for name, unit in UNITS.items() for timestamps in ("none", unit)]
CASES += [(name, "word") for name in WHISPER]
REST = {"Content-Length": "1"}


@pytest.mark.parametrize(("name", "timestamps"), CASES)
def test_it_equals_transformers_alone_and_in_a_batch(
    load: Callable[[str], Worker], transcribe: Callable[..., Any], name: str, timestamps: str
) -> None:
    worker = load(name)
    # Of words the pipeline does not know which language it has detected.
    asked = {"language": "de"} if (name, timestamps) == ("tiny-whisper", "word") else {}
    together = worker.json(*(wav(samples, timestamps=timestamps, **asked) for samples in recordings()))
    for samples, answer in zip(recordings(), together, strict=True):
        check(answer, transcribe(name, samples, timestamps, **asked), len(samples) / RATE)
        assert answer["seconds"] == pytest.approx(len(samples) / RATE, abs=1e-3)
    alone = [worker.json(wav(samples, timestamps=timestamps, **asked))[0] for samples in recordings()[:2]]
    assert alone == together[:2]
    assert len({answer["text"] for answer in together}) > 2


def test_requests_of_one_batch_ask_for_different_things(
    load: Callable[[str], Worker], transcribe: Callable[..., Any]
) -> None:
    worker, samples = load("tiny-whisper"), recordings()[1]
    asked: list[dict[str, Any]] = [
        {"language": "de", "timestamps": "segment"},
        {"language": "French", "task": "translate"},
        {},
        {"language": "auto", "max_new_tokens": 5},
    ]
    answers = worker.json(*(wav(samples, **each) for each in asked))
    assert [answer["language"] for answer in answers[:2]] == ["de", "fr"]
    for each, answer in zip(asked[:3], answers, strict=False):  # with few tokens the pipeline's passes have no end
        options = {key: value for key, value in each.items() if key != "timestamps"}
        check(answer, transcribe("tiny-whisper", samples, each.get("timestamps", "none"), **options), 3.8)
    assert len({answer["text"] for answer in answers}) == 4
    assert answers[3]["truncated"] is True


def test_the_language_is_the_one_that_transformers_detects(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-whisper")
    recogniser: Any = worker.handler.recogniser
    short = [noise(1.0, seed) for seed in range(6)]
    answers = worker.json(*map(wav, short))
    for samples, answer in zip(short, answers, strict=True):
        features = recogniser.extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
        [token] = recogniser.model.detect_language(features).tolist()
        assert answer["language"] == recogniser.codes[token]
    assert "language" not in load("tiny-english").json(wav(short[0]))[0]


def test_words_need_the_heads_that_follow_the_sound(
    load: Callable[[str], Worker], tiny_archive: Callable[[str], Path], tmp_path: Path
) -> None:
    """A Whisper that names none has segments alone, and one that names another model's is not loaded."""
    archive = tiny_archive("tiny-english")
    worker = Worker(without_heads(archive, tmp_path / "none.mar", None), tmp_path / "none")
    [(status, _, body)] = worker.answer([wav(noise(0.5, 0), timestamps="word")])
    assert (status, "wanted one of none, segment" in orjson.loads(body)["message"]) == (422, True)
    with pytest.raises(ValueError, match=r"alignment_heads: the model has no head \[2, 0\]"):
        Worker(without_heads(archive, tmp_path / "other.mar", [[2, 0]]), tmp_path / "other")


def test_words_of_a_language_without_spaces(load: Callable[[str], Worker]) -> None:
    words = {
        language: load("tiny-whisper").json(wav(noise(1.5, 3), timestamps="word", language=language))[0]["words"]
        for language in ("ja", "de")
    }
    assert max(len(word["text"]) for word in words["ja"]) < max(len(word["text"]) for word in words["de"])


def without_heads(archive: Path, target: Path, heads: list[list[int]] | None) -> Path:
    name = "artifact/weights/generation_config.json"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        for member in source.namelist():
            data = source.read(member)
            if member == name:
                values = orjson.loads(data)
                del values["alignment_heads"]
                data = orjson.dumps({**values, **({"alignment_heads": heads} if heads else {})})
            copy.writestr(member, data)
    return target


@pytest.mark.parametrize(("tokens", "positions"), [(1, 7), (5, 1), (12, 40), (40, 12), (30, 300)])
def test_the_path_is_that_of_transformers(tokens: int, positions: int) -> None:
    for seed in range(3):
        costs = np.random.default_rng(seed).normal(size=(tokens, positions))
        if seed == 2:
            costs = costs.round()  # with ties
        rows, columns = _dynamic_time_warping(costs)
        np.testing.assert_array_equal(warping_path(costs), np.stack([rows, columns], 1))


@pytest.mark.parametrize("name", UNITS)
def test_the_front_end_is_that_of_the_models_processor(load: Callable[[str], Worker], name: str) -> None:
    """A long window beside a short one, as a batch holds them."""
    recogniser: Any = load(name).handler.recogniser
    processor = AutoProcessor.from_pretrained(load(name).handler.artifact.weights, local_files_only=True)
    windows = [torch.from_numpy(noise(1.1, 0)), torch.from_numpy(noise(0.4, 1))]
    if name in WHISPER:
        alike = [torch.randn(RATE) for _ in range(2)]
        found, sounds = recogniser.features([Window(w, 0, 0, 0, recogniser.default) for w in [*windows, *alike]])
        assert sounds[:2] == [110, 40]  # of 10 ms
        for row, window in zip(found, [*windows, *alike], strict=True):
            expected = processor(window.numpy(), sampling_rate=RATE, return_tensors="pt").input_features[0]
            torch.testing.assert_close(row, expected, atol=1e-5, rtol=1e-5)
    else:
        with torch.inference_mode():
            for window in windows:
                values = processor(window.numpy(), sampling_rate=RATE, return_tensors="pt").input_values
                expected = recogniser.model(values).logits[0]
                torch.testing.assert_close(recogniser.logits([window])[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "timestamps", "headers", "stream"),
    [*((*case, REST, "true") for case in CASES), ("tiny-whisper", "none", {}, "StreamPredictions")],
)
def test_the_pieces_are_the_whole(
    load: Callable[[str], Worker], name: str, timestamps: str, headers: dict[str, str], stream: str
) -> None:
    """Streams of a short and a long recording beside a whole answer and a refused one."""
    worker = load(name)
    short, long = noise(1.0, 5), recordings()[1]
    whole = worker.json(wav(short, timestamps=timestamps), wav(long, timestamps=timestamps))
    rows = [
        wav(short, timestamps=timestamps, stream=stream),
        wav(short) | {"body": b"RIFF"},
        wav(long, timestamps=timestamps, stream=stream),
        wav(long, timestamps=timestamps),
    ]
    with frontend_of(worker) as frontend:
        answers = worker.answer(rows, [headers] * 4)
        pieces = sent(frontend)
    assert [status for status, _, _ in answers] == [200, 400, 200, 200]
    assert orjson.loads(answers[3][2]) == whole[1]
    assert {request for request, _ in pieces} <= {"a", "c"}
    for request, index, wanted in (("a", 0, whole[0]), ("c", 2, whole[1])):
        lines = [*(piece for each, piece in pieces if each == request), answers[index][2]]
        told = [orjson.loads(line) for line in lines]
        assert "".join(each.pop("text") for each in told) == wanted["text"]
        assert told[:-1] == [{}] * (len(told) - 1)
        assert told[-1] == {key: value for key, value in wanted.items() if key != "text"}
        assert len(lines) > 2 or name not in WHISPER or index == 2  # of one window token by token
        at_the_end = name in WHISPER and timestamps == "word"
        assert len(lines) > 1 or index == 0 or at_the_end  # of several as they are done


def test_a_text_goes_on_where_an_error_broke_it(load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the batch is halved for want of memory: what was sent is not sent again."""
    worker = load("tiny-whisper")
    recogniser: Any = worker.handler.recogniser
    samples = [recordings()[1], noise(1.0, 5), noise(2.3, 6)]
    wanted = worker.json(*map(wav, samples))
    write, calls = recogniser.write, itertools.count()

    def short_of_memory(*arguments: Any) -> None:
        write(*arguments)
        if next(calls) == 1:
            raise torch.OutOfMemoryError("a test's own")

    monkeypatch.setattr(recogniser, "write", short_of_memory)
    with frontend_of(worker) as frontend:
        answers = worker.answer([wav(each, stream="true") for each in samples], [REST] * 3)
        pieces = sent(frontend)
    assert next(calls) > 2
    for name, answer, expected in zip("abc", answers, wanted, strict=True):
        lines = [*(piece for request, piece in pieces if request == name), answer[2]]
        assert "".join(orjson.loads(line)["text"] for line in lines) == expected["text"]


@pytest.fixture(scope="module")
def transcribe(load: Callable[[str], Worker]) -> Callable[..., Any]:
    """The answer of transformers' pipeline, with the worker's windows and the most probable tokens."""
    pipelines: dict[str, Any] = {}

    def ask(name: str, samples: np.ndarray, timestamps: str, **generation: Any) -> Any:
        recogniser: Any = load(name).handler.recogniser
        if name not in pipelines:
            pipelines[name] = pipeline("automatic-speech-recognition", str(load(name).handler.artifact.weights))
        options: dict[str, Any] = {
            "chunk_length_s": recogniser.length / RATE,
            "stride_length_s": recogniser.stride / RATE,
            "ignore_warning": True,
        }
        if timestamps != "none":
            options["return_timestamps"] = timestamps == "segment" or timestamps
        if name in WHISPER:
            task = {"task": "transcribe"} if name == "tiny-whisper" else {}
            options["generate_kwargs"] = {"num_beams": 1, "max_new_tokens": 60, **task, **generation}
        return pipelines[name](samples.copy(), **options)

    return ask
