"""Classifiers that are trained once for all tests."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.images import write_folders, write_table
from tests.train.vision.classification.command import call, write_experiment
from tests.train.vision.classification.served import Trained


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Kind of data → (run, artifact): trained once, with `python -m train EXPERIMENT`'s own command."""
    root = tmp_path_factory.mktemp("trained")
    write_folders(root / "folders")
    write_table(root / "table")
    (root / "folders" / "red" / "broken.jpg").write_bytes(b"broken")
    found: dict[str, tuple[Path, Path]] = {}
    kinds: dict[str, dict[str, Any]] = {
        "one": {"data": {"folder": str(root / "folders")}},
        "two": {
            "data": {"folder": str(root / "table"), "labels": "labels.csv"},
            "model": "shufflenet_v2_x0_5",
            "mixing": {"mixup": 0.2, "cutmix": 1.0},
            "task_weights": {"pattern": 2.0},
            "class_weights": "balanced",
        },
        "program": {"data": {"folder": str(root / "folders")}, "format": "torch-export"},
    }

    def train(kind: str) -> tuple[Path, Path]:
        if kind not in found:
            torch.set_num_threads(1)
            experiment = write_experiment(root, kind, **kinds[kind])
            with torch.inference_mode(False):  # a test that first asks for it may compare in that mode
                call(experiment, "--runs", root / "runs", "--output", root / "artifacts", "--run", "r")
            found[kind] = root / "runs" / kind / "r", root / "artifacts" / kind
        return found[kind]

    return train
