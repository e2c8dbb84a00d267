"""Waveforms and numbers of numpy and torch, as a model gets them."""

import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from client import Waveform
from client.payload import encode
from handlers.audio.decoding import decode_audio
from handlers.protocol.payload import Payload
from tests.inputs import RATE, noise

SAMPLES = noise(0.3, 1)


@pytest.mark.parametrize(
    ("samples", "subtype", "frames"),
    [
        (SAMPLES, "FLOAT", SAMPLES),
        (SAMPLES.astype(np.float64), "FLOAT", SAMPLES),
        (torch.from_numpy(SAMPLES), "FLOAT", SAMPLES),
        (torch.nn.Parameter(torch.from_numpy(SAMPLES)), "FLOAT", SAMPLES),
        (torch.from_numpy(SAMPLES).bfloat16(), "FLOAT", torch.from_numpy(SAMPLES).bfloat16().float().numpy()),
        (SAMPLES.astype(np.float16), "FLOAT", SAMPLES.astype(np.float16).astype(np.float32)),
        (SAMPLES[None], "FLOAT", SAMPLES),
        (np.stack([SAMPLES, SAMPLES[::-1]]), "FLOAT", np.stack([SAMPLES, SAMPLES[::-1]], 1)),
        (torch.from_numpy(np.stack([SAMPLES, -SAMPLES / 2], 1)).T, "FLOAT", np.stack([SAMPLES, -SAMPLES / 2], 1)),
        (1.5 * SAMPLES / np.abs(SAMPLES).max(), "FLOAT", 1.5 * SAMPLES / np.abs(SAMPLES).max()),
        ((SAMPLES * 30000).astype(np.int16), "PCM_16", (SAMPLES * 30000).astype(np.int16)),
        ((SAMPLES * 30000).astype(">i2"), "PCM_16", (SAMPLES * 30000).astype(np.int16)),
    ],
)
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_waveform_is_heard_as_its_file_is(samples: Any, subtype: str, frames: Any, rate: int) -> None:
    body, media_type = encode(Waveform(samples, rate))
    assert media_type == "audio/wav"
    file = io.BytesIO()
    soundfile.write(file, frames, rate, format="WAV", subtype=subtype)
    with soundfile.SoundFile(io.BytesIO(body)) as sound:
        assert (sound.subtype, sound.samplerate) == (subtype, rate)
        assert np.array_equal(
            sound.read(dtype="float32"), soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")[0]
        )
    heard = decode_audio(Payload(body, media_type), RATE)
    assert torch.equal(heard, decode_audio(Payload(file.getvalue(), "audio/wav"), RATE))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([0.5, -1.25], np.float32), [0.5, -1.25]),
        (np.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
        (np.array([True, False]), [1, 0]),
        (np.array([2**63], np.uint64), [2**63]),
        (np.array([0.1], np.longdouble), [0.1]),
        (np.zeros((1, 2, 4), np.uint8), [[[0, 0, 0, 0], [0, 0, 0, 0]]]),
        (torch.tensor([0.5], requires_grad=True), [0.5]),
        (torch.tensor([1.5, 3.0], dtype=torch.bfloat16), [1.5, 3.0]),
        (torch.tensor([1.5], dtype=torch.float8_e5m2), [1.5]),
        (torch.zeros(4, 1, 2, dtype=torch.uint8), [[[0, 0]]] * 4),
        (torch.tensor([1 - 2j]).conj().imag, [2.0]),
        ({"data": np.float32(0.5), "more": [np.int64(3), torch.tensor([1])]}, {"data": 0.5, "more": [3, [1]]}),
        ([np.array([1, 2]), np.array([3, 4])], [[1, 2], [3, 4]]),
    ],
)
def test_numbers_are_json(value: Any, expected: Any) -> None:
    body, media_type = encode(value)
    assert media_type == "application/json"
    assert json.loads(body) == expected


def test_numbers_of_32_bits_arrive_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    assert np.array_equal(np.array(json.loads(encode(values)[0]), np.float32), values)


def test_objects_of_no_library() -> None:
    with pytest.raises(TypeError, match="got object, wanted bytes, str, Path"):
        encode(object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="contains a set, which is not JSON"):
        encode({"data": {1}})


def test_nothing_is_imported_that_the_caller_does_not_use() -> None:
    code = (
        "import sys; from client import Waveform; from client.payload import encode; encode([1]); encode(b'x');"
        "assert not {'numpy', 'torch', 'PIL', 'aiohttp'} & set(sys.modules); import numpy;"
        "encode(numpy.zeros(3)); encode(Waveform(numpy.zeros(3), 8000)); assert 'PIL' not in sys.modules;"
        "encode(numpy.zeros((2, 2, 3), numpy.uint8)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
