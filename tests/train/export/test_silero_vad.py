"""Silero VAD from its package: one graph over a recording, equal to the streaming model frame by frame."""

import sys
from pathlib import Path

import numpy as np
import pytest
import silero_vad
import torch

from tests.recordings import sentences
from train.core.config import ExperimentError
from train.core.experiment import load
from train.export.speech_activity import FRAME, RATE, SpeechProbability


@torch.inference_mode()
def test_probabilities_equal_the_streaming_model(tmp_path: Path) -> None:
    load("voice-activity").run(tmp_path / "made")
    network = torch.jit.load(tmp_path / "made" / "weights.pt")
    streaming = silero_vad.load_silero_vad()
    one, two = sentences()[:2]
    batch = torch.zeros(2, max(len(one), len(two)))
    batch[0, : len(one)], batch[1, : len(two)] = torch.from_numpy(one), torch.from_numpy(two)
    for _ in range(2):  # the second time nothing is left of the first
        found = network(batch)
        for row, samples in zip(found, (one, two), strict=True):
            streaming.reset_states()
            padded = np.pad(samples, (0, -len(samples) % FRAME))
            wanted = [streaming(torch.from_numpy(chunk), RATE).item() for chunk in padded.reshape(-1, FRAME)]
            np.testing.assert_allclose(row[: len(wanted)].numpy(), wanted, atol=1e-5)


def test_scripted_as_eager() -> None:
    module = SpeechProbability(silero_vad.load_silero_vad())
    waveforms = torch.from_numpy(sentences()[0])[None]
    torch.testing.assert_close(torch.jit.script(module)(waveforms), module(waveforms))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(ExperimentError, match="pip install silero-vad"):
        load("voice-activity").run(tmp_path / "made")
    assert not list(tmp_path.iterdir())
