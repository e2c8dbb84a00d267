"""Explanations of recordings, compared with Captum called by hand, over the three forms of spectrograms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from captum.attr import IntegratedGradients
from safetensors.torch import load_file

from archiver.verification.explanation_schemas import check
from handlers.networks.keyword_spotting import KeywordSpotting
from tests.handlers.worker import Worker
from tests.inputs import noise, recording

MODELS = ("tiny-keywords", "tiny-audio", "tiny-commands")
SECOND = noise(1.0, 0)
ROW = {"body": recording(SECOND)}


def ask(worker: Worker, row: dict[str, Any] = ROW, **parameters: object) -> dict[str, Any]:
    [answer] = worker.json({**row, **{name: str(value).encode() for name, value in parameters.items()}})
    assert not check("audio-classification", answer, worker.handler.labels, "the answer")
    return answer


def test_integrated_gradients_over_mel_bands_are_captums(explainer: Callable[[str], Worker]) -> None:
    worker = explainer("tiny-keywords")
    network = KeywordSpotting(3)
    network.load_state_dict(load_file(worker.handler.artifact.weights))
    network.eval()
    waveform = worker.handler.task.windowing.cut(torch.as_tensor(SECOND, dtype=torch.float32)).waveforms
    features = network.features(waveform)
    silence = network.features(torch.zeros_like(waveform))
    expected = IntegratedGradients(network.classify).attribute(features, silence, target=2, n_steps=20)[0]
    found = ask(worker, target=2, n_steps=20)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found["attributions"], expected.detach().numpy(), atol=0.01 * scale)
    np.testing.assert_allclose(found["curve"], expected.sum(dim=0).detach().numpy(), atol=0.05 * scale)
    assert found["seconds"] == pytest.approx([0.01 * frame for frame in range(101)], abs=1e-4)
    assert found["hertz"] == sorted(found["hertz"])
    assert 60 < found["hertz"][0] < found["hertz"][-1] < 8000


@pytest.mark.parametrize("name", MODELS)
def test_the_score_is_the_models_for_the_waveform(explainer: Callable[[str], Worker], name: str) -> None:
    """A Fourier transform there and back, or features by themselves, must not change what the model hears."""
    worker = explainer(name)
    task = worker.handler.task
    windows = task.windowing.cut(torch.as_tensor(SECOND, dtype=torch.float32)).waveforms
    with torch.no_grad():
        output = task.run([windows[0]])
    expected = getattr(output, "logits", output)[0]
    for target in range(3):
        found = ask(worker, method="saliency", target=target, part=0)
        assert found["target"]["score"] == pytest.approx(float(expected[target]), abs=1e-4)


@pytest.mark.parametrize("name", MODELS[:2])
def test_attributions_are_complete(explainer: Callable[[str], Worker], name: str) -> None:
    assert ask(explainer(name), part=0)["completeness"]["holds"]


def test_a_tone_burst_stands_where_it_sounds(explainer: Callable[[str], Worker]) -> None:
    """In a recording of three windows, the last with the burst: times are those of the recording."""
    worker = explainer("tiny-keywords")
    found = ask(worker, {"body": recording(np.concatenate([SECOND, SECOND]))}, method="occlusion", part=2)
    assert found["part"] == {"index": 2, "start": 1.0, "end": 2.0}
    assert (found["seconds"][0], found["seconds"][-1]) == pytest.approx((1.0, 2.0), abs=0.02)


def test_a_batch_is_its_items_and_a_bad_one_fails_alone(explainer: Callable[[str], Worker]) -> None:
    worker = explainer("tiny-keywords")
    rows = [{"body": recording(noise(0.9, seed)), "method": b"saliency"} for seed in range(2)]
    alone = [worker.json(row)[0] for row in rows]
    silent = {"body": recording(np.zeros(16_000))}
    answers = worker.answer([rows[0], silent, rows[1], {**rows[1], "part": b"7"}])
    assert [status for status, _, _ in answers] == [200, 422, 200, 422]
    assert orjson.loads(answers[1][2])["message"].startswith("the recording is silent")
    assert [orjson.loads(answers[place][2]) for place in (0, 2)] == alone


def test_a_spectrogram_comes_as_png(explainer: Callable[[str], Worker]) -> None:
    [(status, content_type, body)] = explainer("tiny-audio").answer([{**ROW, "accept": b"image/png"}])
    assert (status, content_type) == (200, "image/png")
    assert body.startswith(b"\x89PNG")
