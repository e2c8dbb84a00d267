"""Experiments that somebody else wrote, and checkpoints of other models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from train.__main__ import MAX_LINE, MAX_LINES, for_terminal, told
from train.core import checkpoint
from train.core.config import ExperimentError
from train.core.run import Run, RunError
from train.core.trainer import TrainerSettings
from train.rl.environments import spaces_of
from train.rl.ppo import PPO
from train.vision.classification.experiment import ImageClassification
from train.vision.classification.models import network_of


@pytest.mark.parametrize(
    "values",
    [
        {"name": "../../x"},
        {"name": "/tmp/x"},  # noqa: S108
        {"name": ".."},
        {"name": "\x1b[31m"},
        {"name": "x" * 101},
        {"seed": -1},
        {"seed": 1 << 32},
        {"learning_rate": float("inf")},
        {"solved_return": float("nan")},
        {"num_envs": 10**9},
        {"hidden": 10**9},
    ],
)
def test_settings_that_mean_nothing_or_too_much(values: dict[str, Any]) -> None:
    PPO.model_validate({"name": "x", "system": "ppo"})
    with pytest.raises(ValidationError, match="1 validation error"):
        PPO.model_validate({"name": "x", "system": "ppo", **values})


@pytest.mark.parametrize(
    "values",
    [
        {"data": {"folder": "x", "workers": 100_000}},
        {"trainer": {"devices": 100_000}},
        {"trainer": {"accelerator": "abacus"}},
        {"image_size": 1_000_000},
        {"batch_size": 10**12},
        {"arguments": {"checkpoint_path": "/etc/passwd"}},
        {"arguments": {"pretrained_cfg": {"file": "x.pth"}}},
    ],
)
def test_processes_sizes_and_other_files(values: dict[str, Any]) -> None:
    base = {"name": "x", "system": "image-classification", "data": {"folder": "x"}}
    ImageClassification.model_validate(base)
    with pytest.raises(ValidationError, match="1 validation error"):
        ImageClassification.model_validate({**base, **values})


def test_arguments_that_a_builder_does_not_have() -> None:
    with pytest.raises(ExperimentError, match=r"arguments: vit_b_16: .*unexpected keyword argument 'nope'"):
        network_of("vit_b_16", 2, {"nope": 1})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_accelerator_that_is_missing() -> None:
    with pytest.raises(ExperimentError, match="this machine has no GPU"):
        TrainerSettings(accelerator="gpu").check()


@pytest.mark.parametrize("name", [".:Nope-v0", "os.path:Nope-v0", "/etc/passwd:Nope-v0", "a\0b"])
def test_environments_that_are_none(name: str) -> None:
    with pytest.raises(ExperimentError, match="environment "):
        spaces_of(name)


def of_lightning(state: dict[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(checkpoint.OF_LIGHTNING, 0), "state_dict": state}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "it has no state_dict"),
        ({"state_dict": {}}, "it has no optimizer_states"),
        (of_lightning({}), "another model: ValueError: bias is only in one of both"),
        (
            of_lightning({"weight": torch.ones(3), "bias": torch.ones(2)}),
            r"weight has the shape \(3,\); wanted \(2, 2\)",
        ),
        (of_lightning({"weight": torch.ones(1).expand(10**12), "bias": torch.ones(2)}), r"\(1000000000000,\)"),
        (of_lightning({"weight": 1, "bias": 2}), "another model: AttributeError"),
    ],
)
def test_a_checkpoint_of_another_model(content: Any, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(RunError, match=said):
        checkpoint.check_module(tmp_path / "last.ckpt", nn.Linear(2, 2))


def test_a_checkpoint_of_this_model(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    torch.save(of_lightning(module.state_dict()), tmp_path / "last.ckpt")
    checkpoint.check_module(tmp_path / "last.ckpt", module)


def test_a_run_whose_records_are_damaged(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    assert run.last is None
    (run.checkpoints / "last.ckpt").symlink_to("/dev/zero")
    assert run.last is not None  # to be refused, and not to be written over
    for content in ("{", "[]", "[" * 100_000):
        (run.folder / "fit.json").write_text(content)
        with pytest.raises(RunError, match=r"fit\.json cannot be read"):
            run.recorded("fit")
    (run.folder / "fit.json").write_text('{"best": "../../x"}')
    with pytest.raises(RunError, match=r"fit\.json names '\.\./\.\./x', which leads out"):
        _ = run.best


def test_what_a_message_does_to_a_terminal() -> None:
    assert for_terminal("a\x1b[31mb\nc") == "a\ufffd[31mb\nc"
    shown = for_terminal("\n".join(["x" * 10_000] * 10_000)).splitlines()
    assert len(shown) == MAX_LINES + 1
    assert max(map(len, shown)) == MAX_LINE


def test_an_error_of_a_loader_process_is_one_sentence() -> None:
    message = "Caught ExperimentError in DataLoader worker process 0.\nOriginal Traceback (…):\n  File …\n"
    assert (
        told(ExperimentError(f"{message}train.core.config.ExperimentError: data: a.wav: broken\n"))
        == "data: a.wav: broken"
    )
    assert told(ExperimentError("data: ExperimentError: x")) == "data: ExperimentError: x"
