"""Every feature against librosa, on speech, tones, chirps, silence, clipped and very short signals."""

import warnings
from collections.abc import Iterator
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from torch import nn

from handlers.audio.features.centroid import SpectralCentroid
from handlers.audio.features.chroma import PITCH_CLASSES, Chroma, pitch_class
from handlers.audio.features.extraction import FEATURES, Extraction
from handlers.audio.features.mel import LogMel, MelSpectrogram
from handlers.audio.features.mfcc import MFCC
from handlers.audio.features.rms import RMS
from handlers.audio.features.rolloff import SpectralRolloff
from handlers.audio.features.spectrogram import Spectrogram
from handlers.audio.features.zero_crossing import ZeroCrossingRate
from tests.recordings import HARD_SIGNALS, RATE, Samples, speech, tone

FRAMES: dict[str, Any] = {"n_fft": 512, "win_length": 400, "hop_length": 160}


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    # librosa warns that a signal is shorter than a window, which is what some of these are for.
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=", module="librosa")
        yield


def found(feature: nn.Module, samples: Samples) -> np.ndarray:
    values: torch.Tensor = feature(torch.from_numpy(samples)[None])[0]
    assert values.isfinite().all()
    return values.numpy()


@pytest.fixture(params=HARD_SIGNALS)
def samples(request: pytest.FixtureRequest) -> Samples:
    return HARD_SIGNALS[request.param]()


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_spectrogram(samples: Samples, power: float) -> None:
    wanted = np.abs(librosa.stft(samples, **FRAMES)) ** power
    np.testing.assert_allclose(found(Spectrogram(power=power), samples), wanted, atol=1e-5 * wanted.max(), rtol=0)


def test_rms(samples: Samples) -> None:
    wanted = librosa.feature.rms(y=samples, frame_length=400, hop_length=160)[0]
    np.testing.assert_allclose(found(RMS(), samples), wanted, atol=1e-6)


def test_zero_crossing_rate(samples: Samples) -> None:
    wanted = librosa.feature.zero_crossing_rate(samples, frame_length=400, hop_length=160)[0]
    np.testing.assert_allclose(found(ZeroCrossingRate(), samples), wanted, atol=1e-7)


def test_mel(samples: Samples) -> None:
    wanted = librosa.feature.melspectrogram(y=samples, sr=RATE, n_mels=40, **FRAMES)
    np.testing.assert_allclose(found(MelSpectrogram(), samples), wanted, atol=1e-5 * max(wanted.max(), 1e-30), rtol=0)


def test_mfcc(samples: Samples) -> None:
    wanted = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=13, n_mels=40, **FRAMES)
    np.testing.assert_allclose(found(MFCC(), samples), wanted, atol=0.01, rtol=0)


def test_centroid(samples: Samples) -> None:
    wanted = librosa.feature.spectral_centroid(y=samples, sr=RATE, **FRAMES)[0]
    np.testing.assert_allclose(found(SpectralCentroid(), samples), wanted, rtol=0, atol=0.2)


def test_rolloff(samples: Samples) -> None:
    wanted = librosa.feature.spectral_rolloff(y=samples, sr=RATE, **FRAMES)[0]
    difference = np.abs(found(SpectralRolloff(), samples) - wanted)
    assert difference.max() <= RATE / 512 + 1e-3
    assert (difference > 1e-3).mean() < 0.01


def test_chroma(samples: Samples) -> None:
    wanted = librosa.feature.chroma_stft(y=samples, sr=RATE, n_fft=2048, hop_length=160, tuning=0)
    np.testing.assert_allclose(found(Chroma(), samples), wanted, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_other_rates(rate: int) -> None:
    """Frame counts agree with each other, and the features with librosa's, at rates whose windows are odd, too."""
    samples = speech(rate=rate)
    extraction = Extraction(list(FEATURES), rate)
    values = extraction(torch.from_numpy(samples)[None])
    counts = {name: value.shape[-1] for name, value in values.items()}
    assert set(counts.values()) == {len(samples) // (rate // 100) + 1}
    size = {8_000: 256, 22_050: 1024, 44_100: 2048}[rate]
    frames: dict[str, Any] = {"n_fft": size, "win_length": rate // 40, "hop_length": rate // 100}
    mel = librosa.feature.melspectrogram(y=samples, sr=rate, n_mels=40, **frames)
    np.testing.assert_allclose(values["mel"][0].numpy(), mel, atol=1e-5 * mel.max(), rtol=0)
    centroid = librosa.feature.spectral_centroid(y=samples, sr=rate, **frames)[0]
    np.testing.assert_allclose(values["centroid"][0].numpy(), centroid, rtol=0, atol=0.5)


@pytest.mark.parametrize("hertz", [130.81, 261.63, 311.13, 440.0, 880.0, 1046.5])
def test_a_tone_is_its_own_pitch_class(hertz: float) -> None:
    chroma = found(Chroma(), tone(hertz))
    strongest = {PITCH_CLASSES[index] for index in chroma[:, 10:-10].argmax(axis=0)}
    assert strongest == {pitch_class(hertz)}


def test_a440_is_a() -> None:
    assert pitch_class(440.0) == "A"
    assert found(Chroma(), tone(440.0))[PITCH_CLASSES.index("A"), 50] == 1


@pytest.mark.parametrize("hertz", [500.0, 3000.0])
def test_rolloff_and_centroid_of_a_tone_are_its_frequency(hertz: float) -> None:
    inner = slice(5, -5)
    assert np.abs(found(SpectralRolloff(), tone(hertz))[inner] - hertz).max() <= 2 * RATE / 512
    assert np.abs(found(SpectralCentroid(), tone(hertz))[inner] - hertz).max() < 0.02 * hertz


def test_log_mel_equals_librosa(samples: Samples) -> None:
    """To 1e-3 of a deviation: the logarithm magnifies rounding in the faintest bands."""
    mel = librosa.feature.melspectrogram(y=samples, sr=RATE, fmin=60, n_mels=40, **FRAMES)
    logarithm = np.log(mel + 1e-6)
    wanted = (logarithm - logarithm.mean()) / max(logarithm.std(ddof=1), 1e-2)
    np.testing.assert_allclose(found(LogMel(), samples), wanted, atol=1e-3)


MODULES = {name: Extraction([name]).features[name] for name in FEATURES} | {
    "log-mel": LogMel(),
    "all": Extraction(list(FEATURES)),
}


def assert_same(one: object, other: object) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_scripted_and_batched(name: str) -> None:
    """The same alone, in a batch, and as TorchScript, at any length."""
    waveforms = torch.from_numpy(
        np.stack([np.resize(HARD_SIGNALS[key](), RATE) for key in ("speech 0", "silence", "noise")])
    )
    module = MODULES[name]
    scripted = torch.jit.script(module)
    assert_same(scripted(waveforms), module(waveforms))
    assert_same(scripted(waveforms[:, :300]), module(waveforms[:, :300]))
    if name != "all":
        assert_same(torch.cat([module(row[None]) for row in waveforms]), module(waveforms))


@pytest.mark.parametrize("name", MODULES)
def test_features_of_either_precision(name: str) -> None:
    """In float64 the same to what float32 leaves of it, as TorchScript too."""
    waveforms = torch.from_numpy(np.stack([np.resize(HARD_SIGNALS[key](), RATE) for key in ("speech 0", "noise")]))
    module = MODULES[name]
    double, single = module(waveforms.double()), module(waveforms)
    assert_same(torch.jit.script(module)(waveforms.double()), double)
    for key in double if name == "all" else [name]:
        fine, coarse = (double[key], single[key]) if name == "all" else (double, single)
        assert fine.dtype == torch.float64
        if key == "rolloff":
            assert ((fine - coarse).abs() > 1e-3).float().mean() < 0.01
        else:
            torch.testing.assert_close(fine.float(), coarse, rtol=1e-3, atol=0.2 if key == "centroid" else 0.01)


@pytest.mark.parametrize("name", MODULES)
def test_no_features_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="no samples; wanted one at least"):
        MODULES[name](torch.zeros(2, 0))


@pytest.mark.parametrize("name", MODULES)
def test_exported_with_any_batch_and_length(name: str) -> None:
    module = MODULES[name]
    shapes = {0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("samples", min=1000, max=1_000_000)}
    program = torch.export.export(module, (torch.randn(2, RATE),), dynamic_shapes=(shapes,)).module()
    waveforms = torch.randn(3, 12_345)
    assert_same(program(waveforms), module(waveforms))


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_devices_agree(device: str) -> None:
    """By what the CPU gives: a roll-off may be one bin beside it."""
    waveforms = torch.from_numpy(HARD_SIGNALS["speech 0"]())[None]
    wanted = Extraction(list(FEATURES))(waveforms)
    for name, value in Extraction(list(FEATURES)).to(device)(waveforms.to(device)).items():
        assert value.device.type == device
        atol = RATE / 512 + 1e-3 if name == "rolloff" else 1e-2
        torch.testing.assert_close(value.cpu(), wanted[name], rtol=1e-3, atol=atol)


@pytest.mark.parametrize(("names", "said"), [(["mfc"], "got mfc"), ([], "got none")])
def test_unknown_features(names: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Extraction(names)


@pytest.mark.parametrize(("sizes", "said"), [({"power": 3.0}, "power is 3.0"), ({"window": 600}, "window 600")])
def test_a_spectrogram_there_is_not(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Spectrogram(**sizes)
