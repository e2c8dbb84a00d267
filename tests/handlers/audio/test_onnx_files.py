"""ONNX files of recordings: the answers of the networks that they were exported from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archiver.new.kinds import Options, read
from tests import tiny_networks
from tests.inputs import noise, recording
from tests.new_models import served

RATE, FRAME = 16_000, 512
SAMPLES = noise(1.0, 0)
ROW = {"body": recording(SAMPLES), "content-type": b"audio/wav"}


class Loudness(nn.Module):
    """(B, samples) → (B, frames), of which the last may be shorter."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.AvgPool1d(FRAME, FRAME, ceil_mode=True)

    def forward(self, waveforms: Tensor) -> Tensor:
        return (8 * self.mean(waveforms.abs()[:, None])[:, 0]).tanh()


def export(network: nn.Module, path: Path, samples: int, dynamic: dict[int, str]) -> Path:
    names: dict[str, Any] = {"input_names": ["waveforms"], "output_names": ["found"], "dynamo": False}
    sizes = {"waveforms": dynamic, "found": {0: "batch"}}
    torch.onnx.export(network.eval(), (torch.zeros(1, samples),), path, opset_version=17, dynamic_axes=sizes, **names)
    return path


@torch.inference_mode()
def test_an_embedding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = tiny_networks.Waveform(5)
    path = export(network, tmp_path / "sound.onnx", RATE, {0: "batch"})
    worker = served(path, tmp_path / "sound", Options(task="audio-embedding"), backend="auto")
    wanted = network(torch.from_numpy(SAMPLES)[None])[0]
    for answer in worker.json(ROW, ROW):
        np.testing.assert_allclose(answer["embedding"], wanted / wanted.norm(), atol=1e-3)


@torch.inference_mode()
def test_voice_activity(tmp_path: Path) -> None:
    path = export(Loudness(), tmp_path / "voice.onnx", RATE, {0: "batch", 1: "samples"})
    about = Options(task="voice-activity")
    assert read(path, about, tmp_path).missing == [
        "preprocessing: {sample_rate: Hz, frame: samples for each probability}"
    ]
    preprocessing = {"sample_rate": RATE, "frame": FRAME}
    worker = served(path, tmp_path / "voice", about, backend="auto", preprocessing=preprocessing)
    silence = np.zeros(RATE, np.float32)
    row = {"body": recording(np.concatenate([silence, SAMPLES, silence])), "content-type": b"audio/wav"}
    [answer] = worker.json(row)
    [segment] = answer["segments"]
    assert segment["start"] == pytest.approx(1.0, abs=0.1)
    assert segment["end"] == pytest.approx(2.0, abs=0.1)


def test_a_classifier_has_as_many_names_as_outputs(tmp_path: Path) -> None:
    path = export(tiny_networks.Waveform(3), tmp_path / "words.onnx", RATE, {0: "batch"})
    found = read(path, Options(task="audio-classification"), tmp_path)
    assert (found.labels, found.missing) == (["class 0", "class 1", "class 2"], [])
