"""Speech: synthesis, what a microphone adds, and the features, each against a reference."""

import librosa
import numpy as np
import pytest
import torch
from torch import Generator

from handlers.audio_features import LogMel
from train.audio_augmentation import add_noise, coloured_noise, hum, power, reverberate, telephone
from train.speech_synthesis import Voice, sample_rate, speak
from train.spoken_words import NoisyRecordings, Utterance, place, speakers, trim

RATE = 16_000


def speech(text: str = "seven") -> np.ndarray:
    return librosa.resample(speak(text, Voice("en-us")), orig_sr=sample_rate(), target_sr=RATE)


@pytest.mark.parametrize("kind", ["speech", "tone", "noise", "silence"])
def test_log_mel_equals_librosa(kind: str) -> None:
    """To 1e-3 of a deviation: both in float32, the mel filters from the same formula."""
    random = np.random.default_rng(0)
    samples = {
        "speech": speech()[:RATE],
        "tone": 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE),
        "noise": random.normal(0, 0.1, RATE),
        "silence": np.zeros(RATE),
    }[kind].astype(np.float32)
    mel = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=512, win_length=400, hop_length=160, fmin=60, n_mels=40, pad_mode="reflect"
    )
    logarithm = np.log(mel + 1e-6)
    expected = (logarithm - logarithm.mean()) / max(logarithm.std(ddof=1), 1e-2)
    found = LogMel(RATE)(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("snr", [0.0, 10.0, 25.0])
def test_the_measured_ratio_to_noise_is_the_one_asked_for(snr: float) -> None:
    random = Generator().manual_seed(0)
    clean = torch.randn(4, RATE, generator=random) * torch.tensor([[0.01], [0.1], [1.0], [3.0]])
    noise = coloured_noise((4, RATE), torch.tensor([0.0, 1.0, 2.0, 0.5]), random)
    noisy = add_noise(clean, noise, torch.full((4,), snr))
    measured = 10 * torch.log10(power(clean) / power(noisy - clean))
    torch.testing.assert_close(measured, torch.full((4, 1), snr), atol=0.01, rtol=0)


def test_noise_does_not_fill_silence() -> None:
    silence = torch.zeros(1, 100)
    assert torch.equal(add_noise(silence, torch.ones(1, 100), torch.zeros(1)), silence)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_colour_of_noise_is_the_slope_of_its_spectrum(exponent: float) -> None:
    noise = coloured_noise((64, RATE), torch.full((64,), exponent), Generator().manual_seed(0))
    spectrum = torch.fft.rfft(noise).abs().square().mean(dim=0)[10:4000]
    frequency = torch.arange(10, 4000, dtype=torch.float32)
    slope = np.polyfit(np.log(frequency), np.log(spectrum), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_hum_is_at_the_mains_frequency_and_its_harmonics() -> None:
    spectrum = torch.fft.rfft(hum((8, RATE), RATE, Generator().manual_seed(0))).abs()
    strongest = spectrum.argmax(dim=1)
    assert set((strongest % 50).tolist()) | set((strongest % 60).tolist()) >= {0}
    at_harmonics = spectrum[:, [50 * k for k in range(1, 6)] + [60 * k for k in range(1, 6)]].square().sum(dim=1)
    assert (at_harmonics / spectrum.square().sum(dim=1)).min() > 0.99


def test_rooms_and_telephones_keep_length_and_stay_finite() -> None:
    random = Generator().manual_seed(0)
    waveforms = torch.stack([torch.zeros(RATE), torch.from_numpy(np.resize(speech(), RATE))])
    for changed in (reverberate(waveforms, RATE, random), telephone(waveforms, RATE)):
        assert changed.shape == waveforms.shape
        assert changed.isfinite().all()
    through = torch.fft.rfft(telephone(torch.randn(4, RATE, generator=random), RATE)).abs().square().mean(dim=0)
    assert through[5000:].mean() < 0.01 * through[1000:3000].mean()


def test_a_voice_says_different_words_differently() -> None:
    seven, two = (speak(word, Voice("en-us")) for word in ("seven", "two"))
    assert len(trim(two)) != len(trim(seven))
    assert 0.2 < len(trim(seven)) / sample_rate() < 1.5


def test_voices_held_out_are_never_heard_in_training() -> None:
    held_out, training = set(speakers(True)), set(speakers(False))
    assert not held_out & training
    assert len(held_out) > 10
    assert len(training) > 30


def test_recordings_are_made_anew_and_repeatable() -> None:
    word = Utterance(torch.from_numpy(trim(speech())), 7, "x")

    def made(seed: int) -> torch.Tensor:
        return next(iter(NoisyRecordings([word], RATE, RATE, 1, 16, seed)))[0]

    assert torch.equal(made(0), made(0))
    assert not torch.equal(made(0)[0], made(0)[1])
    assert made(0).abs().max() <= 1


def test_a_word_longer_than_the_window_loses_its_end() -> None:
    window = place(torch.arange(10.0), 6, Generator().manual_seed(0))
    assert torch.equal(window, torch.arange(6.0))
