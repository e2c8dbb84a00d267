"""Augmentation: what it changes, measured, and what it must leave as it was."""

import io
import itertools
from collections.abc import Callable

import librosa
import numpy as np
import pytest
import soundfile
import torch
from torch import Generator, Tensor
from torchaudio.transforms import SpecAugment

from tests.recordings import RATE, sentences, tone
from train.audio.augmentation.gain import change_gain
from train.audio.augmentation.microphone import tilt
from train.audio.augmentation.noise import add_noise, coloured_noise, hum, power
from train.audio.augmentation.one_of import Effect, OneOf
from train.audio.augmentation.pitch_shift import change_speed, pitch_shift
from train.audio.augmentation.room import impulse_response, random_rooms, reverberate, wall_reflection
from train.audio.augmentation.telephone import mu_law, telephone
from train.audio.augmentation.time_stretch import stretch, time_stretch

EFFECTS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "time stretch": lambda waveforms, _: time_stretch(waveforms, 1.17),
    "slower": lambda waveforms, _: time_stretch(waveforms, 0.8),
    "pitch shift": lambda waveforms, _: pitch_shift(waveforms, 2.5),
    "noise": lambda waveforms, _: add_noise(waveforms, torch.ones_like(waveforms), torch.full((len(waveforms),), 9.0)),
    "gain": lambda waveforms, _: change_gain(waveforms, torch.full((len(waveforms),), -3.0)),
    "room": lambda waveforms, random: reverberate(waveforms, random_rooms(1, RATE, random, 0.05)),
    "telephone": lambda waveforms, _: telephone(waveforms, RATE),
    "microphone": lambda waveforms, random: tilt(waveforms, RATE, random),
    "one of them": lambda waveforms, random: OneOf()(waveforms, random),
}


def strongest(waveform: Tensor, rate: int = RATE) -> float:
    """Frequency of the strongest bin, in Hz."""
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs()
    return float(spectrum.argmax()) * rate / len(waveform)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("samples", [100, RATE // 2 + 1])
@pytest.mark.parametrize("effect", EFFECTS)
def test_shape_and_dtype_are_kept_and_silence_is_finite(effect: str, samples: int, dtype: torch.dtype) -> None:
    waveforms = torch.stack([torch.zeros(samples), torch.from_numpy(sentences()[0][6000 : 6000 + samples])]).to(dtype)
    before = waveforms.clone()
    changed = EFFECTS[effect](waveforms, Generator().manual_seed(0))
    assert (changed.shape, changed.dtype) == (waveforms.shape, dtype)
    assert changed.isfinite().all()
    assert torch.equal(waveforms, before), "the caller's own recordings were written into"
    assert changed[0].abs().max() < 1e-6
    assert not torch.equal(changed[1], waveforms[1])


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 25.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_measured_ratio_to_noise_is_the_one_asked_for(snr: float, dtype: torch.dtype) -> None:
    random = Generator().manual_seed(0)
    clean = torch.randn(4, RATE, generator=random, dtype=dtype) * torch.tensor([[0.01], [0.1], [1.0], [3.0]])
    noise = coloured_noise((4, RATE), torch.tensor([0.0, 1.0, 2.0, 0.5]), random).to(dtype)
    noisy = add_noise(clean, noise, torch.full((4,), snr))
    measured = 10 * torch.log10(power(clean) / power(noisy - clean))
    torch.testing.assert_close(measured, torch.full((4, 1), snr, dtype=dtype), atol=0.01, rtol=0)


@pytest.mark.parametrize("level", [1e-4, 1e-7, 1e-10, 1e-15])
@pytest.mark.parametrize("quiet_noise", [False, True])
def test_the_quietest_recordings_and_noises_keep_their_ratio(level: float, quiet_noise: bool) -> None:
    """And rooms and microphones keep their level."""
    random = Generator().manual_seed(0)
    clean = level * torch.randn(2, RATE, generator=random)
    noise = torch.randn(2, RATE, generator=random) * (level if quiet_noise else 1)
    snr = torch.tensor([0.0, 10.0])
    added = add_noise(clean, noise, snr).double() - clean
    measured = 10 * torch.log10(power(clean.double()) / power(added))[:, 0].float()
    torch.testing.assert_close(measured, snr, atol=0.01, rtol=0)
    for changed in (tilt(clean, RATE, random), reverberate(clean, random_rooms(2, RATE, random, 0.05))):
        torch.testing.assert_close(power(changed.double()), power(clean.double()), rtol=1e-4, atol=0)


def test_noise_does_not_fill_silence() -> None:
    silence = torch.zeros(1, 100)
    assert torch.equal(add_noise(silence, torch.ones(1, 100), torch.zeros(1)), silence)
    assert torch.equal(add_noise(silence + 0.5, silence, torch.zeros(1)), silence + 0.5)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_colour_of_noise_is_the_slope_of_its_spectrum(exponent: float) -> None:
    noise = coloured_noise((64, RATE), torch.full((64,), exponent), Generator().manual_seed(0))
    spectrum = torch.fft.rfft(noise).abs().square().mean(dim=0)[10:4000]
    frequency = torch.arange(10, 4000, dtype=torch.float32)
    slope = np.polyfit(np.log(frequency), np.log(spectrum), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_hum_is_at_the_mains_frequency_and_its_harmonics() -> None:
    spectrum = torch.fft.rfft(hum((8, RATE), RATE, Generator().manual_seed(0))).abs()
    at_harmonics = spectrum[:, [50 * k for k in range(1, 6)] + [60 * k for k in range(1, 6)]].square().sum(dim=1)
    assert (at_harmonics / spectrum.square().sum(dim=1)).min() > 0.99


@pytest.mark.parametrize("gain", [-20.0, -6.0, 3.0])
def test_gain(gain: float) -> None:
    waveform = torch.from_numpy(tone(440))[None]
    louder = change_gain(waveform, torch.tensor([gain]))
    assert 10 * torch.log10(power(louder) / power(waveform)).item() == pytest.approx(gain, abs=1e-3)
    assert change_gain(waveform, torch.tensor([30.0])).abs().max() == 1


@pytest.mark.parametrize("rate", [0.75, 0.9, 1.3])
def test_time_stretch_agrees_with_librosa(rate: float) -> None:
    """Sample by sample, to float32's rounding of the result; librosa's is computed from float64, too."""
    for samples in (*sentences()[:1], tone(440)):
        found = stretch(torch.from_numpy(samples)[None], rate)[0].numpy()
        wanted = librosa.effects.time_stretch(samples.astype(np.float64), rate=rate, n_fft=512)
        assert len(found) == len(wanted) == round(len(samples) / rate)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_time_stretch_keeps_the_pitch(rate: float) -> None:
    assert strongest(stretch(torch.from_numpy(tone(440))[None], rate)[0]) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("semitones", [-12.0, -3.0, 0.5, 4.0])
def test_pitch_shift_of_a_tone(semitones: float) -> None:
    """To 10 cents; the fraction it resamples by is within 5."""
    shifted = pitch_shift(torch.from_numpy(tone(600, 2.0))[None], semitones)[0]
    middle = shifted[RATE // 2 : -RATE // 2]
    cents = 1200 * np.log2(strongest(middle) / 600)
    assert cents == pytest.approx(100 * semitones, abs=10)


@pytest.mark.parametrize("semitones", [-4.0, 3.0])
def test_pitch_shift_of_speech(semitones: float) -> None:
    """The median pitch of a sentence, by librosa's pYIN, moves by as much, to half a semitone."""
    samples = sentences()[0]
    shifted = pitch_shift(torch.from_numpy(samples)[None], semitones)[0].numpy()
    pitches = [np.nanmedian(librosa.pyin(each, fmin=50, fmax=500, sr=RATE)[0]) for each in (samples, shifted)]
    assert 12 * np.log2(pitches[1] / pitches[0]) == pytest.approx(semitones, abs=0.5)


def test_speed_changes_pitch_and_duration() -> None:
    faster = change_speed(torch.from_numpy(tone(440))[None], 1.1)[0]
    assert len(faster) == pytest.approx(RATE / 1.1, abs=1)
    assert strongest(faster) == pytest.approx(484, abs=2)


def test_wrong_strengths() -> None:
    with pytest.raises(ValueError, match=r"rate: wanted 0.25 to 4; got 0"):
        time_stretch(torch.zeros(1, 10), 0)
    with pytest.raises(ValueError, match="semitones: wanted -24 to 24; got 30"):
        pitch_shift(torch.zeros(1, 10), 30)


def test_mu_law_equals_libsndfile() -> None:
    """Every 14-bit sample, bit for bit."""
    samples = np.arange(-8191, 8192).astype(np.float32) / 8192
    file = io.BytesIO()
    soundfile.write(file, samples, 8_000, format="WAV", subtype="ULAW")
    file.seek(0)
    assert np.array_equal(mu_law(torch.from_numpy(samples)).numpy(), soundfile.read(file, dtype="float32")[0])


def test_a_telephone_passes_its_band_alone() -> None:
    noise = torch.randn(4, RATE, generator=Generator().manual_seed(0)) * 0.1
    through = torch.fft.rfft(telephone(noise, RATE)).abs().square().mean(dim=0)
    kept = through[500:3200].mean()
    assert through[3700:].mean() < 0.01 * kept
    assert through[:200].mean() < 0.02 * kept
    before = torch.fft.rfft(noise).abs().square().mean(dim=0)[500:3200].mean()
    assert kept.item() == pytest.approx(before.item(), rel=0.1)


ROOM = torch.tensor([5.0, 4.0, 2.6])
SPEAKER, MICROPHONE = torch.tensor([1.0, 1.5, 1.2]), torch.tensor([3.5, 2.0, 1.6])


def test_the_first_reflections_of_a_room() -> None:
    """Direct sound and the six walls, each by its mirror image worked out by hand."""
    response = impulse_response(ROOM, SPEAKER, MICROPHONE, 0.8, RATE, 0.05)
    images = [(SPEAKER, 1.0)]
    for axis, wall in itertools.product(range(3), (0.0, 1.0)):
        mirrored = SPEAKER.clone()
        mirrored[axis] = 2 * wall * ROOM[axis] - SPEAKER[axis]
        images.append((mirrored, 0.8))
    arrivals: dict[int, float] = {}
    for image, reflection in images:
        distance = (image - MICROPHONE).norm().item()
        sample = round(distance / 343 * RATE)
        arrivals[sample] = arrivals.get(sample, 0.0) + reflection / (4 * np.pi * distance)
    for sample, pressure in arrivals.items():
        assert response[sample].item() >= pressure - 1e-5
    direct = min(arrivals)
    assert response[:direct].abs().max() == 0
    assert response[direct].item() == pytest.approx(arrivals[direct], rel=1e-5)
    assert int(response[direct + 1 :].nonzero()[0]) + direct + 1 == sorted(arrivals)[1]


@pytest.mark.parametrize("seconds", [0.2, 0.4])
def test_a_room_decays_about_as_long_as_asked_for(seconds: float) -> None:
    """RT60 by Schroeder's backward integration, from -5 to -25 dB. Eyring's formula is for diffuse fields; a shoebox
    keeps the sound that runs along its length, so it rings longer: up to 1.8 times (Lehmann and Johansson 2008)."""
    reflection = wall_reflection(ROOM, seconds)
    response = impulse_response(ROOM, SPEAKER, MICROPHONE, reflection, RATE, 0.5)
    decay = 10 * torch.log10(response.square().flip(0).cumsum(0).flip(0) / response.square().sum())
    first, last = (int((decay < level).nonzero()[0]) for level in (-5, -25))
    assert 0.9 * seconds < 3 * (last - first) / RATE < 1.8 * seconds


def test_rooms_keep_the_level_and_smear_the_sound() -> None:
    random = Generator().manual_seed(0)
    rooms = random_rooms(4, RATE, random, 0.2)
    assert torch.equal(rooms[:, 0], torch.ones(4))
    click = torch.zeros(4, RATE)
    click[:, 1000] = 1
    wet = reverberate(click, rooms)
    torch.testing.assert_close(power(wet), power(click))
    assert (wet[:, :1000].abs() < 1e-6).all()
    assert ((wet[:, 1001:] != 0).sum(dim=1) > 100).all()
    assert len({tuple(row.nonzero()[:5, 0].tolist()) for row in rooms}) == 4


@pytest.mark.parametrize("effect", ["pitch-shift", "time-stretch", "noise", "gain"])
def test_one_of_the_effects(effect: Effect) -> None:
    """Each by its own, another strength for each recording, the same again for the same seed."""
    waveforms = torch.from_numpy(np.stack([tone(440)] * 3))
    augmentation = OneOf(effects=(effect,))
    changed = augmentation(waveforms, Generator().manual_seed(0))
    assert not torch.equal(changed[0], changed[1])
    assert torch.equal(changed, augmentation(waveforms, Generator().manual_seed(0)))


def test_spec_augment_masks_each_recording_anew_and_no_more_than_asked() -> None:
    """torchaudio's, as the training of spoken digits sets it."""
    torch.manual_seed(0)
    masked = SpecAugment(1, 10, 1, 5, p=0.2, zero_masking=True)(torch.ones(16, 40, 100)) == 0
    rows, columns = masked.all(dim=2).sum(dim=1), masked.all(dim=1).sum(dim=1)
    assert rows.max() < 5
    assert columns.max() < 10
    assert 0 < masked.float().mean() < 0.35
    assert len({row.nonzero().numpy().tobytes() for row in masked}) > 8
