"""An experiment file, and the command that runs it."""

import re
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from train.__main__ import app

PLAIN = {"crop_scale": None, "flip": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
TINY: dict[str, Any] = {
    "system": "image-classification",
    "model": "squeezenet1_1",
    "weights": None,
    "image_size": 32,
    "learning": {"learning_rate": 2e-3, "backbone_rate": 1.0},
    "augmentation": PLAIN,
    "trainer": {"epochs": 2, "accelerator": "cpu", "log_every": 2},
}


def write_experiment(folder: Path, name: str, data: dict[str, Any], **over: Any) -> Path:
    path = folder / f"{name}.yaml"
    settings = {"workers": 0, "validation_share": 0.25, "test_share": 0.25, **data}
    path.write_text(yaml.safe_dump({**TINY, "data": settings, "batch_size": 8, **over}))
    return path


def call(*arguments: str | Path, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exit_code != status:
        raise AssertionError(f"{done.output}\n{done.exception!r}")
    return re.sub(r"\s+", " ", done.output)
