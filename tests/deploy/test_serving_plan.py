"""How many workers a model gets on machines of all kinds."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.archive import Archive
from deploy.serving_plan import WORKER_BYTES, Machine, ServingPlan

GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("cores", "gpus", "free", "asked", "models", "workers"),
    [
        (2, 0, 16 * GIGABYTE, "auto", 1, 2),
        (2, 0, 16 * GIGABYTE, "auto", 6, 1),  # never less than one
        (16, 0, 64 * GIGABYTE, "auto", 6, 2),
        (16, 0, 12 * WORKER_BYTES, "auto", 1, 3),  # half of the free memory, and the archive is as large as the rest
        (16, 0, 0, "auto", 1, 1),
        (16, 0, 0, 5, 6, 5),  # who names a number gets it
        (16, 1, 64 * GIGABYTE, "auto", 6, 2),
        (16, 4, 64 * GIGABYTE, "auto", 1, 8),
        (16, 4, 64 * GIGABYTE, 3, 1, 12),
    ],
)
def test_workers(cores: int, gpus: int, free: int, asked: int | str, models: int, workers: int) -> None:
    assert Machine(cores, gpus, free).workers(asked, models, WORKER_BYTES) == workers


@pytest.mark.parametrize(
    ("gpus", "size", "delay", "batch"),
    [
        (0, "auto", "auto", (2, 0)),  # nobody waits
        (4, "auto", "auto", (16, 1)),
        (0, 1, "auto", (1, 0)),
        (0, 64, "auto", (64, 1)),  # without a delay TorchServe would take two
        (1, 2, 7, (2, 7)),
        (0, 8, 0, (8, 0)),
    ],
)
def test_batches(gpus: int, size: int | str, delay: int | str, batch: tuple[int, int]) -> None:
    assert Machine(16, gpus, 0).batch(size, delay) == batch


def test_an_archive_s_layout(tiny_archive: Callable[[str], Path]) -> None:
    assert Machine(2, 0, 16 * GIGABYTE).plan(Archive.read(tiny_archive("tiny-image")), 1) == ServingPlan(1, 4, 50)


def test_this_machine_has_cores_and_memory() -> None:
    here = Machine.detect()
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.free > GIGABYTE // 8
