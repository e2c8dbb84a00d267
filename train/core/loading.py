"""The processes and threads that read training data."""

from __future__ import annotations

import os

from lightning.pytorch import LightningDataModule

MAX_LOADERS = 256  # processes


def cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def loaders(data: LightningDataModule, configured: int | None = None) -> int:
    """The number of processes that load batches for each training process, which needs one core itself.

    By default all cores are used, because a core decodes only some hundreds of the thousands of images per second that
    a GPU can train on. configured: the number in the configuration, which overrides this.
    """
    if configured is not None:
        return configured
    processes = 1 if data.trainer is None else data.trainer.num_devices
    return max(1, cores() // processes - 1)
