"""The demo's experiments on images, with a few steps of each."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from train.__main__ import app
from train.core import generated_data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "steps", "size", "metric", "floor"),
    [
        ("shapes-detection", 45, "model.image_size=160", "mAP@.50", 0.1),
        ("shapes-segmentation", 28, "image_size=[160,160]", "mean IoU", 0.22),
    ],
)
def test_a_short_training_learns_and_exports(
    experiment: str, steps: int, size: str, metric: str, floor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that has learnt nothing scores 0, or 1/6 for finding background."""
    monkeypatch.setattr(generated_data, "DATA", tmp_path / "data")
    short = [f"data.training={steps * 8}", "data.validation=2", "data.test=16", "batch_size=8", size]
    folders = ["--output", str(tmp_path), "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, [experiment, *short, *folders])
    assert done.exit_code == 0, done.output
    folder = tmp_path / experiment
    description = json.loads((folder / "artifact.json").read_text())
    assert len(description["labels"]) == 6
    assert description["metrics"][metric] >= floor
    assert (folder / "sample.jpg").stat().st_size > 5_000
    assert (folder / "extras" / "examples.jpg").stat().st_size > 10_000
    assert {path.name.split("-")[1] for path in (tmp_path / "data").iterdir()} == {"training", "validation", "test"}

    # Measured again, the artifact has the scores it was written with.
    done = CliRunner().invoke(app, ["evaluate", experiment, *short, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "recorded" not in done.output


def test_a_source_that_is_not_known(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["shapes-detection", "data.source=shape", "--runs", str(tmp_path)])
    assert done.exit_code == 2
    assert "source is 'shape'; wanted one of language-id, shapes, spoken-digits" in done.output
