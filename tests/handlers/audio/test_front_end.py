"""The front end of speech: what it gains, measured; against other implementations; and that it remembers nothing."""

import itertools
import resource
from fractions import Fraction

import librosa
import numpy as np
import pytest
import silero_vad
import torch
from torch import Generator, Tensor
from torchaudio.transforms import Resample

from handlers.audio.front_end import denoising
from handlers.audio.front_end.denoising import denoise
from handlers.audio.front_end.front_end import prepare
from handlers.audio.front_end.level import normalise_peak
from handlers.audio.front_end.resampling import filters, interpolate, resample
from handlers.audio.front_end.trimming import speech_bounds, trim
from tests.recordings import HARD_SIGNALS, RATE, sentences, tone
from train.audio.augmentation.noise import add_noise, coloured_noise, power

RATES = (8_000, 16_000, 22_050, 44_100, 48_000)
WHITE, PINK = 0.0, 1.0


def in_pauses(before: int = 4_000, after: int = 4_000) -> list[Tensor]:
    """Each sentence (1, samples), with silence around it."""
    return [torch.from_numpy(np.pad(samples, (before, after)))[None] for samples in sentences()]


def noisy(clean: Tensor, colour: float, snr_db: float, seed: int = 0) -> Tensor:
    noise = coloured_noise((1, clean.shape[1]), torch.tensor([colour]), Generator().manual_seed(seed))
    return add_noise(clean, noise, torch.tensor([snr_db]))


def snr(clean: Tensor, other: Tensor) -> float:
    return float(10 * torch.log10(power(clean) / power(other - clean)))


@pytest.mark.parametrize(
    ("colour", "snr_db", "gained"),
    [(WHITE, 0, 8), (WHITE, 5, 6), (WHITE, 10, 4.5), (PINK, 0, 5), (PINK, 5, 4.5), (PINK, 10, 3.5), (WHITE, 20, 1)],
)
def test_denoising_gains(colour: float, snr_db: float, gained: float) -> None:
    """At least this many dB, on the mean of three voices."""
    gains = [
        snr(clean, denoise(noisy(clean, colour, snr_db, seed), RATE)) - snr_db for seed, clean in enumerate(in_pauses())
    ]
    assert np.mean(gains) >= gained


def test_a_gain_of_one_gives_the_recording_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoising, "MIN_GAIN", 1.0)
    for signal in HARD_SIGNALS.values():
        waveform = torch.from_numpy(signal())[None]
        torch.testing.assert_close(denoise(waveform, RATE), waveform, atol=1e-6, rtol=0)


@pytest.mark.parametrize("rate", RATES)
def test_denoising_keeps_length_and_stays_finite(rate: int) -> None:
    for signal in HARD_SIGNALS.values():
        waveform = torch.from_numpy(signal())[None]
        cleaned = denoise(waveform, rate)
        assert cleaned.shape == waveform.shape
        assert cleaned.isfinite().all()


def test_nothing_is_remembered_from_one_utterance_to_the_next() -> None:
    """After loud noise, and beside it in a batch, a recording comes out as it does alone."""
    clean = noisy(in_pauses()[0], WHITE, 10)
    loud = torch.randn(1, clean.shape[1], generator=Generator().manual_seed(1))
    alone, bounds = denoise(clean, RATE), speech_bounds(clean, RATE)
    denoise(loud, RATE)
    assert torch.equal(denoise(clean, RATE), alone)
    together = torch.cat([loud, clean])
    torch.testing.assert_close(denoise(together, RATE)[1:], alone, atol=1e-6, rtol=0)
    assert torch.equal(speech_bounds(together, RATE)[1:], bounds)
    torch.testing.assert_close(normalise_peak(together)[1:], normalise_peak(clean))


@pytest.mark.parametrize(("colour", "snr_db"), [*itertools.product((WHITE, PINK), (5, 10, 20)), (WHITE, 60)])
def test_trimming_agrees_with_silero(colour: float, snr_db: float) -> None:
    """Both ends within 0.3 s of Silero's, which leaves 30 ms at the start and reacts late at the end; and no more than
    0.15 s from where the speech really is."""
    model = silero_vad.load_silero_vad()
    for seed, clean in enumerate(in_pauses(12_000, 9_000)):
        waveform = normalise_peak(noisy(clean, colour, snr_db, seed))
        first, last = (speech_bounds(waveform, RATE)[0] / RATE).tolist()
        segments = silero_vad.get_speech_timestamps(waveform[0], model)
        assert abs(first - segments[0]["start"] / RATE) < 0.3
        assert abs(last - segments[-1]["end"] / RATE) < 0.3
        spoken = (clean[0].abs() > 0.01).nonzero()[:, 0] / RATE
        assert abs(first - spoken[0]) < 0.15
        assert abs(last - spoken[-1]) < 0.15
        assert len(trim(waveform[0], RATE)) == round((last - first) * RATE)


@pytest.mark.parametrize("samples", [np.zeros(RATE), tone(440), np.zeros(50), np.ones(1)])
def test_nothing_to_trim(samples: np.ndarray) -> None:
    waveform = torch.from_numpy(samples.astype(np.float32))
    assert len(trim(waveform, RATE)) == len(waveform)


@pytest.mark.parametrize("level", [1e-5, 0.1, 7.0])
def test_peak_normalisation(level: float) -> None:
    waveforms = level * torch.randn(3, 1000, generator=Generator().manual_seed(0))
    torch.testing.assert_close(normalise_peak(waveforms).abs().amax(dim=1), torch.ones(3))
    torch.testing.assert_close(normalise_peak(waveforms, 0.5), normalise_peak(waveforms) / 2)


def test_silence_has_no_peak() -> None:
    both = torch.stack([torch.zeros(100), torch.full((100,), 0.5)])
    assert torch.equal(normalise_peak(both), torch.stack([torch.zeros(100), torch.ones(100)]))


@pytest.mark.parametrize(("source", "target"), itertools.permutations(RATES, 2))
def test_resampling(source: int, target: int) -> None:
    """A tone and its level survive; against soxr, away from the ends, 1 % of full scale: two low-pass filters."""
    samples = tone(440, 0.5, source)
    found = resample(torch.from_numpy(samples), source, target).numpy()
    assert len(found) == -(-len(samples) * target // source)
    wanted = librosa.resample(samples, orig_sr=source, target_sr=target)
    inner = slice(target // 20, len(wanted) - target // 20)
    assert np.abs(found[inner] - wanted[inner]).max() < 1e-2


@pytest.mark.parametrize(
    ("source", "target"), [(8_000, RATE), (11_025, RATE), (22_050, RATE), (44_100, RATE), (48_000, RATE), (RATE, 8_000)]
)
def test_resampling_between_common_rates_is_torchaudios_to_the_bit(source: int, target: int) -> None:
    """Models have been trained on it."""
    waveform = torch.randn(source // 2 + 17, generator=Generator().manual_seed(0))
    wanted = Resample(source, target, dtype=torch.float64).to(torch.float32)(waveform)
    assert torch.equal(resample(waveform, source, target), wanted)


ODD_RATES = (1_001, 7_333, 8_001, 11_127, 15_999, 22_051, 22_254, 44_056, 44_101, 96_001, 192_001, 383_999)


@pytest.mark.parametrize("rate", ODD_RATES)
def test_resampling_from_rates_without_a_common_divisor(rate: int) -> None:
    """Agrees with soxr at the end of two seconds as at the start, so the ratio is exact."""
    hertz = min(440, rate / 8)
    samples = tone(hertz, 2.0, rate) + np.float32(0.4) * tone(2.7 * hertz, 2.0, rate)
    found = resample(torch.from_numpy(samples), rate, RATE).numpy()
    assert len(found) == -(-len(samples) * RATE // rate)
    wanted = librosa.resample(samples, orig_sr=rate, target_sr=RATE, res_type="soxr_vhq")
    inner = slice(RATE // 20, len(wanted) - RATE // 20)
    assert np.abs(found[inner] - wanted[inner]).max() < 3e-3


def test_rates_without_a_common_divisor_take_little_memory() -> None:
    """Whatever rates are asked for, and however many: each of these filters would take 4 GB and more."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for rate in itertools.chain(ODD_RATES, range(44_103, 44_203, 2)):
        resample(torch.zeros(2, 100), rate, RATE)
        resample(torch.zeros(2, 100), RATE, rate)
        assert filters(Fraction(rate, RATE)).numel() < 70_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_ratio_by_phases_agrees_with_torchaudios_filter(dtype: torch.dtype) -> None:
    """In a batch and in either precision, to what an eight thousandth of a sample makes of noise."""
    waveforms = 0.1 * torch.randn(2, 3, 4_000, generator=Generator().manual_seed(0), dtype=dtype)
    found = interpolate(waveforms, Fraction(441, 160))
    assert found.dtype == dtype
    torch.testing.assert_close(found, resample(waveforms, 44_100, 16_000), atol=1e-4, rtol=0)


def test_resampling_leaves_no_alias() -> None:
    """A tone above half the lower rate is gone, by 40 dB and more."""
    for target in (8_000, 8_001):
        found = resample(torch.from_numpy(tone(6_000)), 16_000, target)
        assert found[400:-400].square().mean() < 1e-4 * 0.125


def test_steps_by_name() -> None:
    waveform = noisy(in_pauses()[0], WHITE, 20)[0]
    wanted = normalise_peak(trim(denoise(waveform[None], RATE)[0].clamp(-1, 1), RATE))
    assert torch.equal(prepare(waveform, RATE, ["denoise", "trim", "normalise"]), wanted)
    assert prepare(waveform, RATE, []) is waveform
