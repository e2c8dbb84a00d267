"""Experiments: found by name or path, overridden, and every error of one at once."""

import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from train.__main__ import app
from train.core.config import ExperimentError
from train.core.experiment import load, names


def test_every_experiment_that_comes_with_the_project_is_valid() -> None:
    assert {"imagenet", "shapes-detection", "shapes-segmentation", "spoken-digits", "language-id", "cartpole"} <= set(
        names()
    )
    for name in names():
        assert load(name).name == name


def test_overrides_reach_into_mappings_and_keep_types(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("system: pretrained\nmodel: resnet18\ntask: image-classification\narguments: {num_classes: 3}\n")
    experiment = load(str(file), ["seed=3", "arguments.progress=false"])
    assert (experiment.name, experiment.seed) == ("mine", 3)
    assert experiment.model_dump()["arguments"] == {"num_classes": 3, "progress": False}


def test_all_errors_at_once() -> None:
    with pytest.raises(ValidationError) as raised:
        load("cartpole", ["num_steps=many", "clipp=0.1", "gamma=high"])
    assert {error["loc"][0] for error in raised.value.errors()} == {"num_steps", "clipp", "gamma"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cartpol"], "no experiment 'cartpol'; wanted a YAML file or one of cartpole"),
        (["cartpole", "system=sarsa"], "system is 'sarsa'; wanted one of"),
        (["cartpole", "steps"], "override 'steps': wanted key=value"),
        (["imagenet", "model=mobilenet_v9"], "torchvision has no model 'mobilenet_v9'"),
        (["imagenet", "weights=V7"], "mobilenet_v2 has no 'V7'; wanted one of IMAGENET1K_V1, IMAGENET1K_V2"),
    ],
)
def test_a_wrong_call(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path)])
    assert done.exit_code == 2
    assert said in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 200_000, "line 1: is nested more than 64 deep"),
        ("seed: 1\nseed: 2\n", "line 2: is not YAML: key 'seed' occurs twice"),
        ("# " + "x" * (256 << 10), "more than 262144 bytes"),
        ("seed: 2020-99-99", "is not YAML"),
        ("seed: " + "9" * 5000, "is not YAML"),
        ("seed: [", "is not YAML"),
    ],
)
def test_a_file_that_is_no_experiment(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(ExperimentError) as raised:
        load(str(path))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert time.process_time() - started < 3


def test_an_unknown_name_is_an_error_of_its_own() -> None:
    with pytest.raises(ExperimentError):
        load("nothing")
