"""One spelling of the number type that a training computes in, for Lightning's trainings and transformers'."""

import pytest
import torch
from pydantic import ValidationError

from train.core.config import ExperimentError, StrictModel
from train.core.precision import native_precision
from train.core.trainer import LIGHTNINGS_PRECISION, TrainerSettings, on_gpu
from train.text.trainer import TextTrainer

BOTH = pytest.mark.parametrize("settings", [TrainerSettings, TextTrainer])


@BOTH
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("32", "32"),
        (32, "32"),
        ("32-true", "32"),
        ("bf16", "bf16"),
        ("bf16-mixed", "bf16"),
        (16, "fp16"),
        ("fp16", "fp16"),
    ],
)
def test_every_spelling(settings: type[StrictModel], given: object, meant: str) -> None:
    assert settings.model_validate({"precision": given}).model_dump()["precision"] == meant
    assert meant in LIGHTNINGS_PRECISION


@BOTH
@pytest.mark.parametrize("given", [64, "bfloat16", True, [32]])
def test_no_precision(settings: type[StrictModel], given: object) -> None:
    with pytest.raises(ValidationError, match="'bf16', 'fp16' or '32'"):
        settings.model_validate({"precision": given})


def test_a_training_on_the_cpu_of_a_machine_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 is emulated there, and slow."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert native_precision() == native_precision(on_gpu("gpu")) == "bf16"
    assert native_precision(on_gpu("cpu")) == "32"


@pytest.mark.skipif(on_gpu("auto"), reason="-1 is right where there are GPUs")
def test_all_gpus_where_there_is_none() -> None:
    with pytest.raises(ExperimentError, match="this machine has none; give a number"):
        TrainerSettings(devices=-1).check()


def test_a_logger_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.core.trainer.find_spec", lambda name: None)
    with pytest.raises(ExperimentError, match="pip install wandb"):
        TrainerSettings(wandb="project").check()
    TrainerSettings().check()
