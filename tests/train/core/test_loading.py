"""How many processes prepare batches."""

import os
from types import SimpleNamespace

import pytest
from lightning.pytorch import LightningDataModule

from train.core import loading
from train.core.loading import cores, loaders


def data(processes: int | None) -> LightningDataModule:
    """As Lightning leaves it with so many processes on this machine; None: outside of a training."""
    found = LightningDataModule()
    found.trainer = None if processes is None else SimpleNamespace(num_devices=processes)  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("available", "processes", "asked", "workers"),
    [
        (16, None, None, 15),
        (16, 1, None, 15),
        (64, 8, None, 7),  # of each of eight
        (2, 1, None, 1),
        (1, 1, None, 1),
        (4, 8, None, 1),  # never none: reading would hold the training up
        (16, 1, 3, 3),
        (16, 8, 0, 0),
    ],
)
def test_each_training_process_keeps_a_core(
    available: int, processes: int | None, asked: int | None, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "cores", lambda: available)
    assert loaders(data(processes), asked) == workers


def test_cores_are_those_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)
