"""A classifier of a user's own recordings: from files to the answer of an archive."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from sklearn.metrics import f1_score
from torch import Generator
from typer.testing import CliRunner

from archiver import archive
from archiver.package import resolve
from deploy.configuration import PROJECT
from handlers.loader import from_safetensors
from tests.handlers.worker import Worker
from train.__main__ import app
from train.audio.augmentation.recipe import Augmentation
from train.audio.classification.data import AudioSettings, Collate, place
from train.audio.classification.evaluation import Evaluation
from train.core.config import ExperimentError
from train.core.experiment import load
from train.core.run import Run

RATE = 16_000
TONES = {"high": 2_500.0, "low": 400.0, "middle": 1_000.0}


def tone(frequency: float, seconds: float, seed: int) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * frequency * random.uniform(0.95, 1.05) * time) + 0.01 * random.standard_normal(
        len(time)
    )


def write_folders(root: Path, count: int = 12) -> None:
    """`count` recordings of each class, of half a second to one and a half, in several formats and rates."""
    for label, frequency in TONES.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            suffix = ("wav", "flac", "ogg")[number % 3]
            sound = tone(frequency, 0.5 + number / count, number)
            soundfile.write(root / label / f"{number:02d}.{suffix}", sound, RATE)


def settings(folder: Path, **keys: Any) -> dict[str, Any]:
    return {
        "system": "audio-classification",
        "data": {"folder": str(folder), "workers": 0},
        "model": {"width": 16},
        "learning": {"learning_rate": 0.01},
        "trainer": {"epochs": 6, "accelerator": "cpu", "precision": "32-true"},
        "batch_size": 8,
        **keys,
    }


@pytest.mark.slow
def test_from_folders_to_the_answer(tmp_path: Path) -> None:
    """Fit, stopped half-way; resume, test, export; archive; its handler answers as the network does."""
    write_folders(tmp_path / "sounds")
    (tmp_path / "sounds" / "low" / "99.wav").write_bytes(b"RIFF nothing")
    (tmp_path / "sounds" / "low" / "notes.txt").write_text("x")
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(settings(tmp_path / "sounds")))
    runs = ["--runs", str(tmp_path / "runs")]
    invoke = CliRunner().invoke
    done = invoke(app, ["fit", str(mine), "trainer.epochs=3", *runs, "--run", "one"])
    assert done.exit_code == 0, done.output
    run = Run(tmp_path / "runs" / "mine" / "one")
    configuration = yaml.safe_load(run.configuration.read_text())
    configuration["trainer"]["epochs"] = 6
    run.configuration.write_text(yaml.safe_dump(configuration))
    (run.folder / "fit.json").unlink()
    done = invoke(app, ["resume", str(run.folder), "--output", str(tmp_path), *runs])
    assert done.exit_code == 0, done.output
    assert run.recorded("fit")["epochs"] == 6
    unreadable = (run.folder / "data" / "unreadable.csv").read_text()
    assert "low/99.wav" in unreadable
    assert "low/notes.txt" in unreadable

    description = json.loads((tmp_path / "mine" / "artifact.json").read_text())
    assert description["labels"] == sorted(TONES)
    assert description["metrics"]["accuracy"] >= 0.8
    assert description["metrics"].keys() >= {"macro F1", "accuracy in noise", "accuracy in rooms"}
    assert {path.name for path in (tmp_path / "mine" / "extras").iterdir()} == {
        "confusion.png",
        "mistakes.png",
        "predictions.csv",
    }
    done = invoke(app, ["evaluate", str(mine), "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "recorded" not in done.output  # the same files are held out, and score what they did

    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({"name": "mine", "artifact": str(tmp_path / "mine"), "threads": 1}))
    built = archive.build(resolve(spec, tmp_path), PROJECT / "handlers", tmp_path / "store")
    worker = Worker(built.path, tmp_path / "unpacked")
    sample = tmp_path / "mine" / "sample.wav"
    [answer] = worker.json({"body": sample.read_bytes(), "content-type": b"audio/wav"})
    network = from_safetensors(worker.handler.artifact).eval()
    samples, _ = soundfile.read(sample, dtype="float32")
    missing = RATE - len(samples)
    if missing >= 0:
        window = np.pad(samples, (missing // 2, missing - missing // 2))
        expected = network(torch.from_numpy(window)[None]).softmax(dim=1)[0].max().item()
        assert answer["predictions"][0]["probability"] == pytest.approx(expected, abs=1e-4)


def test_a_table_with_speakers_keeps_each_in_one_split(tmp_path: Path) -> None:
    write_folders(tmp_path, 8)
    rows = ["file,word,speaker"]
    for label in TONES:
        rows += [f"{label}/{n:02d}.{('wav', 'flac', 'ogg')[n % 3]},{label},s{n}" for n in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    listed = AudioSettings(folder=tmp_path, labels=Path("table.csv"), group="speaker").listed()
    assert list(listed.tasks) == ["word"]
    divided = listed.divided(0.25, 0.25, seed=0)
    speakers = {split: {e.group for e in divided.of(split)} for split in ("train", "validation", "test")}
    assert {split: len(found) for split, found in speakers.items()} == {"train": 4, "validation": 2, "test": 2}
    assert not speakers["train"] & speakers["validation"]
    assert not speakers["train"] & speakers["test"]
    assert not speakers["validation"] & speakers["test"]
    assert len(divided.of("test")) == 6
    with pytest.raises(ExperimentError, match="no column voice"):
        AudioSettings(folder=tmp_path, labels=Path("table.csv"), group="voice").listed()
    with pytest.raises(ExperimentError, match="wanted one label column"):
        AudioSettings(folder=tmp_path, labels=Path("table.csv")).listed()
    with pytest.raises(ExperimentError, match=r"needs data\.labels"):
        AudioSettings(folder=tmp_path, group="speaker").listed()


def test_augmentation_is_repeatable_and_of_the_same_shape() -> None:
    clean = torch.stack([torch.from_numpy(tone(f, 1.0, n)).float() for n, f in enumerate((300.0, 500.0, 900.0))])
    everything = Augmentation(
        voice=0.5, room=1, microphone=1, noise=1, telephone=0.5, clipping=0.5, level_db=(-30.0, 0.0)
    ).recipe(RATE, 0)
    found = everything(clean, Generator().manual_seed(1))
    assert found.shape == clean.shape
    assert found.abs().max() <= 1
    assert torch.equal(found, everything(clean, Generator().manual_seed(1)))
    assert not torch.allclose(found, everything(clean, Generator().manual_seed(2)))
    nothing = Augmentation(room=0, microphone=0, noise=0, level_db=(0.0, 0.0)).recipe(RATE, 0)
    same = nothing(clean, Generator().manual_seed(1))
    torch.testing.assert_close(same, clean / clean.abs().amax(dim=1, keepdim=True))
    # A recording that is alone has no others to babble, and silence none to be heard over.
    assert everything(clean[:1], Generator().manual_seed(1)).isfinite().all()
    assert everything(torch.zeros(2, RATE), Generator().manual_seed(1)).isfinite().all()


@pytest.mark.parametrize("level", [1.0, 1e-6])
def test_noise_has_the_strength_that_is_asked_for(level: float) -> None:
    clean = level * torch.stack(
        [torch.from_numpy(tone(f, 1.0, n)).float() for n, f in enumerate((300.0, 500.0, 900.0))]
    )
    recipe = Augmentation().recipe(RATE, 0)
    snr_db = torch.tensor([0.0, 10.0, 20.0])
    noise = recipe.with_noise(clean, clean, snr_db, Generator().manual_seed(0)) - clean
    measured = 10 * (clean.square().mean(dim=1) / noise.square().mean(dim=1)).log10()
    torch.testing.assert_close(measured, snr_db, atol=0.1, rtol=0)


def test_a_window_holds_all_of_a_short_recording_and_a_part_of_a_long_one() -> None:
    random = Generator().manual_seed(0)
    short = place(torch.arange(1.0, 5.0), 10, random)
    assert short[short > 0].tolist() == [1, 2, 3, 4]
    starts = {int(place(torch.arange(10.0), 6, random)[0]) for _ in range(60)}
    assert starts == set(range(5))


def test_batches_for_validation_are_always_the_same() -> None:
    items = [(torch.from_numpy(tone(500.0, 0.5, n)).float(), n) for n in range(4)]
    recipe = Augmentation(noise=1).recipe(RATE, 0)
    fixed, other = Collate(RATE, recipe, 0), Collate(RATE, recipe)
    assert torch.equal(fixed(items)[0], fixed(items)[0])
    assert not torch.equal(other(items)[0], other(items)[0])
    assert fixed(items)[1].tolist() == [0, 1, 2, 3]


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 40).astype(np.float32)
    labels = random.integers(0, 3, 40)
    found = Evaluation(["a", "b", "c"], ["x", "y"] * 20, labels, probabilities, {})
    metrics = found.metrics("voice")
    assert metrics["macro F1"] == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"), abs=1e-4)
    right = probabilities.argmax(1) == labels
    assert metrics["accuracy by voice"] == pytest.approx({"x": right[::2].mean(), "y": right[1::2].mean()}, abs=1e-4)
    assert sum(found.reference()["predicted"].values()) == pytest.approx(1, abs=1e-3)


def test_augmented_recordings_are_drawn(tmp_path: Path) -> None:
    write_folders(tmp_path / "sounds", 8)
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(settings(tmp_path / "sounds")))
    done = CliRunner().invoke(app, ["augmentations", str(mine), "--output", str(tmp_path / "x.png"), "--count", "2"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(settings(tmp_path / "nowhere")))
    done = CliRunner().invoke(app, [str(mine), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 2
    assert "no folder" in done.output
    with pytest.raises(ValueError, match="seconds"):
        load(str(mine), ["seconds=0"])
