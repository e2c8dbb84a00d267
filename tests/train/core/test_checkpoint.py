"""Checkpoints that are not ours: one line, and nothing of them runs."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from train.core import checkpoint
from train.core.run import RunError


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def test_a_checkpoint_is_read(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(2)}, "epoch": 3}, tmp_path / "last.ckpt")
    found = checkpoint.load(tmp_path / "last.ckpt")
    assert found["epoch"] == 3
    assert found["state_dict"]["w"].tolist() == [1, 1]


def test_nothing_of_a_pickle_runs(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {"w": Payload(tmp_path / "marker")}}, path)
    with pytest.raises(RunError, match=r"last\.ckpt is not loaded: it makes objects of posix\.system"):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps(Payload(tmp_path / "marker")))
    with pytest.raises(RunError, match=r"last\.ckpt is not a checkpoint: cannot be read as a zip"):
        checkpoint.load(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_what_is_not_a_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(RunError, match="is not a checkpoint"):
        checkpoint.check(tmp_path / "last.ckpt")


def test_a_broken_pickle_and_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("last/data.pkl", b"\x80\x02}q\x00X")
        file.writestr("last/version", "3")
    with pytest.raises(RunError, match=r"last\.ckpt cannot be read: "):
        checkpoint.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("last/data.pkl", pickle.dumps({}, protocol=2))
        file.writestr("last/data/0", bytes(64 << 20))
    with pytest.raises(RunError, match="the file expands from"):
        checkpoint.check(path)
