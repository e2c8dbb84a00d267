"""Windows of Hugging Face models as a GPU's worker runs them, with the model itself in the graphs' place."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from handlers.acceleration.accelerate import Function
from handlers.acceleration.batch_buckets import Bucket, Buckets, LazyBuckets, bucket_sizes
from handlers.acceleration.equivalence import Judge
from handlers.acceleration.precision import in_fastest_precision
from tests.handlers.worker import Worker
from tests.inputs import noise, recording
from tests.recordings import RATE
from tests.tiny_audio import LABELS

# A window has a second: whole ones, several of one recording, and shorter recordings, of which two are as long.
SECONDS = (1.0, 2.3, 0.4, 0.7, 0.7, 0.1)
LARGEST = 4


def wav(samples: np.ndarray) -> dict[str, Any]:
    return {"body": recording(samples), "content-type": b"audio/wav"}


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        parts = sorted(value["predictions"], key=lambda each: each["index"]) if "predictions" in value else []
        return [each["probability"] for each in parts] or list(value["embedding"])
    return [number for each in value for number in numbers(each)]


class Accelerate:
    """In the place of a worker's own: in the precision that it would take, and the graphs' shapes written down."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.asked: tuple[tuple[int, ...], tuple[int, ...]] = (), ()
        self.precision = ""

    def __call__(
        self,
        build: Callable[[], nn.Module],
        example: Tensor,
        dynamic: Sequence[int],
        judge: Judge,
        lengths: Collection[int],
    ) -> Function:
        self.asked = tuple(dynamic), tuple(lengths)
        fast = in_fastest_precision(build(), example, judge)
        self.precision = fast.form

        def bucket(batch: Tensor) -> Bucket:
            self.shapes.append(tuple(batch.shape))
            inputs = batch.clone()
            outputs = fast(inputs)

            def replay() -> None:
                for output, new in zip(outputs, fast(inputs), strict=True):
                    output.copy_(new)

            return Bucket(inputs, outputs, replay)

        if lengths:
            return LazyBuckets(lengths, LARGEST, bucket, fast)
        sizes = bucket_sizes(LARGEST)
        return Buckets([bucket(example.repeat(size, *(1 for _ in example.shape[1:]))) for size in sizes], fast)


@pytest.fixture
def accelerate() -> Accelerate:
    return Accelerate()


@pytest.mark.parametrize("name", ["tiny-commands", "tiny-sound"])
def test_whole_windows_have_graphs_and_all_recordings_their_answers(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, accelerate: Accelerate, name: str
) -> None:
    worker = load(name)
    handler = worker.handler
    rows = [wav(noise(seconds, seed)) for seed, seconds in enumerate(SECONDS)]
    wanted = worker.json(*rows)
    # Waveforms come with a mask from some extractors, which hides nothing here.
    monkeypatch.setattr(handler.extractor, "return_attention_mask", True)
    monkeypatch.setattr(handler, "accelerate", accelerate)
    monkeypatch.setattr(handler, "fast", None)
    handler.accelerate_windows()
    assert accelerate.asked == ((0, 1), (RATE,))
    assert accelerate.precision == "float16"
    for together in (worker.json(*rows), [worker.json(row)[0] for row in rows]):
        for answer, expected in zip(together, wanted, strict=True):
            np.testing.assert_allclose(numbers(answer), numbers(expected), atol=0.005)
            assert answer.keys() == expected.keys()
    assert {shape[1:] for shape in accelerate.shapes} == {(RATE,)}
    assert {shape[0] for shape in accelerate.shapes} <= set(bucket_sizes(LARGEST))


def test_a_model_of_spectrograms_of_one_size_has_the_graphs_of_images(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, accelerate: Accelerate
) -> None:
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_length=96,
        num_mel_bins=32,
        id2label=dict(enumerate(LABELS)),
    )
    worker = load("tiny-commands")
    handler = worker.handler
    monkeypatch.setattr(handler, "model", ASTForAudioClassification(config).eval().requires_grad_(False))
    monkeypatch.setattr(handler, "extractor", ASTFeatureExtractor(max_length=96, num_mel_bins=32))
    monkeypatch.setattr(handler, "fast", None)
    rows = [wav(noise(seconds, seed)) for seed, seconds in enumerate(SECONDS)]
    wanted = worker.json(*rows)
    monkeypatch.setattr(handler, "accelerate", accelerate)
    handler.accelerate_windows()
    assert accelerate.asked == ((0,), ())
    for answer, expected in zip(worker.json(*rows), wanted, strict=True):
        np.testing.assert_allclose(numbers(answer), numbers(expected), atol=0.005)
    assert accelerate.shapes == [(size, 96, 32) for size in bucket_sizes(LARGEST)]


def test_a_model_of_several_inputs_runs_as_it_is(
    load: Callable[[str], Worker],
    monkeypatch: pytest.MonkeyPatch,
    accelerate: Accelerate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = load("tiny-commands").handler
    extracted = handler.extracted

    def with_flags(waveforms: Sequence[Tensor]) -> Any:
        found = extracted(waveforms)
        found["is_longer"] = torch.zeros(len(waveforms), 1)
        return found

    monkeypatch.setattr(handler, "fast", None)
    monkeypatch.setattr(handler, "extracted", with_flags)
    monkeypatch.setattr(handler, "accelerate", accelerate)
    handler.accelerate_windows()
    assert handler.fast is None
    assert "the model runs as it is: its feature extractor gives more than one input" in caplog.text
