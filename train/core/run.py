"""A run: the folder of one training, from its configuration to its images."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

CONFIGURATION = "configuration.yaml"


class RunError(Exception):
    """A run that is not there, or is not as far as it has to be; the message says what to do."""


class NothingValidated(RunError):
    """A training that ended before its first validation, so that no checkpoint is the best."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder}: the training ended before its first validation, so there is nothing to test or to export; "
            "train longer, or lower trainer.validate_every"
        )


@dataclass(frozen=True)
class Run:
    """folder: `runs/<experiment>/<name of the run>`, with

    configuration.yaml  what was asked for, every default written out
    checkpoints/        the best ones and the last
    tensorboard/        learning curves
    plots/              images and tables to look at
    fit.json, test.json what each stage found
    """

    folder: Path

    @classmethod
    def create(cls, root: Path, configuration: BaseModel, name: str | None = None) -> Run:
        """A new run of the experiment; every process of a distributed training gets the same one.

        name: by default the time in UTC, or the rendezvous id of `torchrun`. RunError when the run exists, or when
        processes started by torchrun could not agree on a name.
        """
        experiment = configuration.model_dump(mode="json")
        chosen = name or agreed_name() or f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        folder = root / experiment["name"] / chosen
        if is_first_process():
            # torchrun restarts its processes after a failure: they go on.
            restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
            if folder.exists() and not restarted:
                raise RunError(f"{folder} exists; `python -m train resume {folder}` goes on with it")
            folder.mkdir(parents=True, exist_ok=restarted)
            text = yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True)
            (folder / CONFIGURATION).write_text(text, encoding="utf-8")
        # Lightning starts the other processes of a machine with this command once more: they find the run here.
        os.environ["TRAIN_RUN"] = chosen
        return cls(folder)

    @classmethod
    def find(cls, root: Path, name: str) -> Run:
        """A run by its folder, or an experiment's newest by its name."""
        if (Path(name) / CONFIGURATION).is_file():
            return cls(Path(name))
        runs = sorted((root / name).glob(f"*/{CONFIGURATION}"), key=lambda path: path.stat().st_mtime)
        if not runs:
            raise RunError(f"no run {name!r}: wanted the folder of a run, or an experiment with runs in {root}")
        return cls(runs[-1].parent)

    @property
    def configuration(self) -> Path:
        return self.folder / CONFIGURATION

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def plots(self) -> Path:
        """Made when first asked for."""
        folder = self.folder / "plots"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def last(self) -> Path | None:
        """The checkpoint a training goes on from; None when it has not come that far."""
        path = self.checkpoints / "last.ckpt"
        return path if path.is_file() else None

    @property
    def best(self) -> Path:
        """The checkpoint that `fit` found best; RunError when it has not ended, or none was validated."""
        name = self.recorded("fit")["best"]
        if not name:
            raise NothingValidated(self.folder)
        return self.folder / name

    def record(self, stage: str, found: dict[str, Any]) -> None:
        """Write `<stage>.json`, from the first process only."""
        if is_first_process():
            text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
            (self.folder / f"{stage}.json").write_text(text + "\n", encoding="utf-8")

    def recorded(self, stage: str) -> dict[str, Any]:
        """What `record` wrote; RunError when that stage has not ended yet."""
        path = self.folder / f"{stage}.json"
        if not path.is_file():
            raise RunError(f"{self.folder} has no {path.name}: `python -m train {stage_command(stage)} {self.folder}`")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def stage_command(stage: str) -> str:
    return "resume" if stage == "fit" else stage


def is_first_process() -> bool:
    """Whether this process writes the files; true where there is one process only."""
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def agreed_name() -> str | None:
    """The run's name as every process of a distributed training can know it; None where there is one process."""
    if "TRAIN_RUN" in os.environ and "LOCAL_RANK" in os.environ:
        return os.environ["TRAIN_RUN"]
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    if os.environ["TORCHELASTIC_RUN_ID"] == "none":
        raise RunError("torchrun gave its processes no common id: give the run a name, --run NAME")
    return os.environ["TORCHELASTIC_RUN_ID"]
