"""The processes and threads that read training data."""

from __future__ import annotations

import os

from lightning.pytorch import LightningDataModule


def cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def loaders(data: LightningDataModule, asked: int | None = None) -> int:
    """The number of processes that load batches for a training process; each training process needs a core itself.

    asked: the number in the configuration. A GPU learns from thousands of images per second, of which a core decodes
    some hundreds.
    """
    if asked is not None:
        return asked
    processes = 1 if data.trainer is None else data.trainer.num_devices
    return max(1, cores() // processes - 1)
