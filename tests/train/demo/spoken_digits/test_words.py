"""Spoken words: synthesis, and the recordings made of it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Generator
from typer.testing import CliRunner

from handlers.audio.front_end.trimming import trim
from tests.recordings import RATE, speech
from train.__main__ import app
from train.core import generated_data
from train.demo.spoken_digits.source import DIGITS
from train.demo.spoken_digits.words import record, speak_otherwise, speakers


def spoken(word: str = "seven") -> torch.Tensor:
    return trim(torch.from_numpy(speech(word)), RATE)


def test_a_voice_says_different_words_differently() -> None:
    assert len(spoken("two")) != len(spoken("seven"))
    assert 0.2 < len(spoken("seven")) / RATE < 1.5


def test_what_is_spoken_does_not_hang_on_the_time_of_day() -> None:
    """Breath and hoarseness are random, and eSpeak NG's seed is the second it starts in."""
    program = (
        "from hashlib import sha256; from train.audio.speech_synthesis import Voice, speak, variants; "
        "print(sha256(b''.join(speak('seven', Voice(f'en-us+{name}')).tobytes() for name in variants())).hexdigest())"
    )

    def spoken_now() -> str:
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    first = spoken_now()
    time.sleep(1.1)
    assert spoken_now() == first


def test_what_was_spoken_before_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The held-out recordings of an evaluation are those of the training, whatever the process has said before."""
    monkeypatch.setattr("train.demo.spoken_digits.words.HELD_OUT_EVERY", 20)
    before = record(["one"], 1, True, RATE, 0)
    speech("a sentence that another recording needed")
    for utterance, again in zip(before, record(["one"], 1, True, RATE, 0), strict=True):
        assert torch.equal(utterance.waveform, again.waveform)


def test_voices_held_out_are_never_heard_in_training() -> None:
    held_out, training = set(speakers(True)), set(speakers(False))
    assert not held_out & training
    assert len(held_out) > 10
    assert len(training) > 30


def test_speakers_say_every_word_and_in_training_say_it_otherwise_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.demo.spoken_digits.words.HELD_OUT_EVERY", 20)
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
def test_a_short_training_learns_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the words is guessed right."""
    monkeypatch.setattr(generated_data, "DATA", tmp_path / "data")
    short = ["data.takes=1", "data.held_out_takes=1", "batch_size=32", "trainer.epochs=3", "data.workers=0"]
    folders = ["--output", str(tmp_path), "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, ["spoken-digits", *short, *folders])
    assert done.exit_code == 0, done.output
    description = json.loads((tmp_path / "spoken-digits" / "artifact.json").read_text(encoding="utf-8"))
    assert sorted(description["labels"]) == sorted(DIGITS)
    assert description["metrics"]["accuracy in noise"] >= 0.4
    assert len(description["metrics"]["accuracy by voice"]) == 21
    for plot in ("confusion.png", "mistakes.png"):
        assert (tmp_path / "spoken-digits" / "extras" / plot).stat().st_size > 5_000

    done = CliRunner().invoke(app, ["evaluate", "spoken-digits", *short, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "recorded" not in done.output
