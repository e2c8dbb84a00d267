"""Spoken words: synthesis, and the recordings made of it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Generator

from handlers.audio.front_end.trimming import trim
from tests.recordings import RATE, speech
from train.experiment import load
from train.spoken_words import NoisyRecordings, Utterance, place, record, speak_otherwise, speakers


def spoken(word: str = "seven") -> torch.Tensor:
    return trim(torch.from_numpy(speech(word)), RATE)


def test_a_voice_says_different_words_differently() -> None:
    assert len(spoken("two")) != len(spoken("seven"))
    assert 0.2 < len(spoken("seven")) / RATE < 1.5


def test_what_is_spoken_does_not_hang_on_the_time_of_day() -> None:
    """Breath and hoarseness are random, and eSpeak NG's seed is the second it starts in."""
    program = (
        "from hashlib import sha256; from train.speech_synthesis import Voice, speak, variants; "
        "print(sha256(b''.join(speak('seven', Voice(f'en-us+{name}')).tobytes() for name in variants())).hexdigest())"
    )

    def spoken_now() -> str:
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    first = spoken_now()
    time.sleep(1.1)
    assert spoken_now() == first


def test_what_was_spoken_before_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The held-out recordings of an evaluation are those of the training, whatever the process has said before."""
    monkeypatch.setattr("train.spoken_words.HELD_OUT_EVERY", 20)
    before = record(["one"], 1, True, RATE, 0)
    speech("a sentence that another recording needed")
    for utterance, again in zip(before, record(["one"], 1, True, RATE, 0), strict=True):
        assert torch.equal(utterance.waveform, again.waveform)


def test_voices_held_out_are_never_heard_in_training() -> None:
    held_out, training = set(speakers(True)), set(speakers(False))
    assert not held_out & training
    assert len(held_out) > 10
    assert len(training) > 30


def test_recordings_are_made_anew_and_repeatable() -> None:
    word = Utterance(spoken(), 7, "x")

    def made(seed: int) -> torch.Tensor:
        return next(iter(NoisyRecordings([word], RATE, RATE, 1, 16, seed)))[0]

    assert torch.equal(made(0), made(0))
    assert not torch.equal(made(0)[0], made(0)[1])
    assert made(0).abs().max() <= 1


def test_speakers_say_every_word_and_in_training_say_it_otherwise_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.spoken_words.HELD_OUT_EVERY", 20)
    held_out = record(["one", "two"], 2, True, RATE, 0)
    assert [item.label for item in held_out[:4]] == [0, 1, 0, 1]
    assert {item.voice for item in held_out} == set(speakers(True))
    for item in held_out:
        assert item.waveform.abs().max() == pytest.approx(1)
        assert 0.1 * RATE < len(item.waveform) < 1.2 * RATE
    waveform = spoken()
    changed = [speak_otherwise(waveform, Generator().manual_seed(seed)) for seed in range(8)]
    assert len({len(trim(each, RATE)) for each in changed}) > 4


@pytest.mark.slow
def test_a_short_training_learns_and_exports(tmp_path: Path) -> None:
    """Half a minute; a tenth of the words is guessed right."""
    load("spoken-digits", ["steps=40", "takes=1", "held_out_takes=1", "batch_size=32"]).run(tmp_path / "digits")
    description = json.loads((tmp_path / "digits" / "artifact.json").read_text(encoding="utf-8"))
    assert description["labels"][:3] == ["zero", "one", "two"]
    assert description["metrics"]["accuracy"] >= 0.4
    assert len(description["metrics"]["accuracy by voice"]) == 21
    assert (tmp_path / "digits" / "extras" / "confusion.png").is_file()


def test_a_word_longer_than_the_window_loses_its_end() -> None:
    window = place(torch.arange(10.0), 6, Generator().manual_seed(0))
    assert torch.equal(window, torch.arange(6.0))
