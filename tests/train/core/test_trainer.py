"""A run's training: its checkpoints are found again where its folder was copied to, and an early end is explained."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from train.core.config import ExperimentError
from train.core.run import NothingValidated, Run
from train.core.trainer import TrainerSettings, check_compiler

SETTINGS = {"accelerator": "cpu", "precision": 32, "log_every": 1}


class Line(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return (self.layer(batch[0]) - batch[0]).square().mean()

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.log("val/error", (self.layer(batch[0]) - batch[0]).abs().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Points(LightningDataModule):
    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(torch.linspace(-1, 1, 16)[:, None]), batch_size=4)

    val_dataloader = train_dataloader


@pytest.mark.parametrize("fixed", [True, False])
def test_cudnn_searches_where_all_inputs_have_one_size(
    fixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not fixed)
    searches: list[bool] = []

    class Watched(Line):
        def on_train_start(self) -> None:
            searches.append(torch.backends.cudnn.benchmark)

    settings = TrainerSettings.model_validate({**SETTINGS, "epochs": 1})
    settings.fit(Run(tmp_path / "run"), Watched(), Points(), "val/error", "min", fixed_sizes=fixed)
    assert searches == [fixed]


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExperimentError, match=r"install g\+\+"):
        check_compiler()
    (tmp_path / "clang++").touch(mode=0o755)
    check_compiler()


def fit(run: Run, epochs: int, **settings: object) -> dict[str, object]:
    trainer = TrainerSettings.model_validate({**SETTINGS, "epochs": epochs, **settings})
    return trainer.fit(run, Line(), Points(), monitor="val/error", mode="min")


def test_a_run_that_was_copied_goes_on_with_its_own_checkpoints(tmp_path: Path) -> None:
    run = Run(tmp_path / "first" / "run")
    found = fit(run, 2)
    copied = Run(tmp_path / "second" / "run")
    shutil.copytree(run.folder, copied.folder)
    shutil.rmtree(run.folder)
    assert fit(copied, 2) == found  # it has ended: nothing is trained, and the same checkpoint is the best
    assert copied.best.is_file()
    further = fit(copied, 4)
    assert further["epochs"] == 4
    assert copied.best.is_file()
    assert json.loads((copied.folder / "fit.json").read_text())["best"] == further["best"] != found["best"]
    assert not run.folder.exists()


def test_a_training_that_ends_before_its_first_validation(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert fit(run, 1, max_steps=1)["best"] == ""
    with pytest.raises(NothingValidated, match=r"ended before its first validation.*trainer\.validate_every"):
        _ = run.best
