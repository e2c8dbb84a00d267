"""A run: the folder of one training, from its configuration to its plots."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from train.core.data_file import inside, json_object, shown

CONFIGURATION = "configuration.yaml"


class RunError(Exception):
    """A run that does not exist, or whose earlier stages are missing; the message says what to do."""


class NothingValidated(RunError):
    """A training that ended before its first validation, so that there is no best checkpoint."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder}: the training ended before its first validation, so there is nothing to test or export; "
            "train longer, or lower trainer.validate_every"
        )


@dataclass(frozen=True)
class Run:
    """folder: `runs/<experiment>/<name of the run>`, with

    configuration.yaml   the experiment, with all defaults written out
    checkpoints/         the best ones and the last
    tensorboard/         learning curves
    plots/               images and tables to look at
    fit.json, test.json  results of these stages
    """

    folder: Path

    @classmethod
    def create(cls, root: Path, configuration: BaseModel, name: str | None = None) -> Run:
        """Create a run of the experiment; all processes of a distributed training get the same one.

        name: by default the rendezvous id of `torchrun`, or the time in UTC. Raises RunError if the run exists, or if
        torchrun gave its processes no common id.
        """
        experiment = configuration.model_dump(mode="json")
        chosen = name or agreed_name() or f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        folder = root / experiment["name"] / chosen
        if is_first_process():
            # After a failure torchrun restarts its processes, which continue the run.
            restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
            if folder.exists() and not restarted:
                raise RunError(f"{folder} exists; to continue it: `python -m train resume {folder}`")
            folder.mkdir(parents=True, exist_ok=restarted)
            text = yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True)
            (folder / CONFIGURATION).write_text(text, encoding="utf-8")
        # Lightning starts the other processes on this machine with the same command; they read the name from here.
        os.environ["TRAIN_RUN"] = chosen
        return cls(folder)

    @classmethod
    def find(cls, root: Path, name: str) -> Run:
        """The run in the folder `name`, or the newest run of the experiment `name`. Raises RunError without one."""
        if (Path(name) / CONFIGURATION).is_file():
            return cls(Path(name))
        runs = sorted((root / name).glob(f"*/{CONFIGURATION}"), key=lambda path: path.stat().st_mtime)
        if not runs:
            raise RunError(f"no run {name!r}; wanted the folder of a run, or an experiment with runs in {root}")
        return cls(runs[-1].parent)

    @property
    def configuration(self) -> Path:
        return self.folder / CONFIGURATION

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def plots(self) -> Path:
        """The folder for plots, created if it does not exist."""
        folder = self.folder / "plots"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def last(self) -> Path | None:
        """The checkpoint from which a training continues; None before the first one."""
        path = self.checkpoints / "last.ckpt"
        return path if os.path.lexists(path) else None  # what is not a file is refused, not overwritten

    @property
    def best(self) -> Path:
        """The best checkpoint. Raises RunError if `fit` has not ended, or ended without a validation."""
        name = self.recorded("fit").get("best")
        if not name:
            raise NothingValidated(self.folder)
        try:
            return inside(self.folder, str(name))
        except OSError as error:
            raise RunError(f"{self.folder / 'fit.json'} names {shown(name)!r}, which {error}") from None

    def record(self, stage: str, found: dict[str, Any]) -> None:
        """Write `<stage>.json`; does nothing in all processes but the first."""
        if is_first_process():
            text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
            (self.folder / f"{stage}.json").write_text(text + "\n", encoding="utf-8")

    def recorded(self, stage: str) -> dict[str, Any]:
        """Read what `record` wrote. Raises RunError if that stage has not ended."""
        path = self.folder / f"{stage}.json"
        if not path.is_file():
            command = "resume" if stage == "fit" else stage
            raise RunError(f"{self.folder} has no {path.name}; run `python -m train {command} {self.folder}` first")
        try:
            return json_object(path)
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read: {error}") from None


def is_first_process() -> bool:
    """Whether this process writes the files; also True outside a distributed training."""
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def agreed_name() -> str | None:
    """A name that all processes of a distributed training know; None outside of one. Raises RunError without an id."""
    if "TRAIN_RUN" in os.environ and "LOCAL_RANK" in os.environ:
        return os.environ["TRAIN_RUN"]
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    if os.environ["TORCHELASTIC_RUN_ID"] == "none":
        raise RunError("torchrun gave its processes no common id; name the run: --run NAME")
    return os.environ["TORCHELASTIC_RUN_ID"]
