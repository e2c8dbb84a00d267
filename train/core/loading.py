"""The processes and threads that read training data."""

from __future__ import annotations

import os

from lightning.pytorch import LightningDataModule


def cores() -> int:
    """Those that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def loaders(data: LightningDataModule, asked: int | None = None) -> int:
    """Processes that prepare batches for a training process, each of which on this machine keeps a core for itself.

    asked: by the configuration. A GPU learns from thousands of images a second, and a core decodes some hundred.
    """
    if asked is not None:
        return asked
    processes = 1 if data.trainer is None else data.trainer.num_devices
    return max(1, cores() // processes - 1)
