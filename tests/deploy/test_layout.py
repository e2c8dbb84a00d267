"""How many workers a model gets on machines of all kinds."""

import os

import pytest

from deploy.layout import WORKER_BYTES, Machine

GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("cores", "gpus", "free", "asked", "models", "workers"),
    [
        (2, 0, 16 * GIGABYTE, "auto", 1, 2),
        (2, 0, 16 * GIGABYTE, "auto", 6, 1),  # never less than one
        (16, 0, 64 * GIGABYTE, "auto", 6, 2),
        (16, 0, 4 * WORKER_BYTES, "auto", 1, 3),  # half of the free memory holds two more
        (16, 0, 0, "auto", 1, 1),
        (16, 0, 0, 5, 6, 5),  # who names a number gets it
        (16, 1, 64 * GIGABYTE, "auto", 6, 2),
        (16, 4, 64 * GIGABYTE, "auto", 1, 8),
        (16, 4, 64 * GIGABYTE, 3, 1, 12),
    ],
)
def test_workers(cores: int, gpus: int, free: int, asked: int | str, models: int, workers: int) -> None:
    assert Machine(cores, gpus, free).workers(asked, models) == workers


def test_this_machine_has_cores_and_memory() -> None:
    here = Machine.here()
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.free > GIGABYTE // 8
