"""One set of workers for every GPU: TorchServe gives a model's workers the GPUs in turn."""

from __future__ import annotations

from collections.abc import Sequence

from client.management import Management


def count() -> int:
    """GPUs this process sees; torch is imported only here, it takes a second."""
    import torch

    return torch.cuda.device_count()


def scale_to_gpus(management: Management, models: Sequence[str]) -> None:
    """Give each model as many workers on every GPU as its archive asks for on one; nothing with fewer than two."""
    gpus = count()
    if gpus < 2:
        return
    for model in models:
        wanted = management.describe(model).min_workers * gpus
        management.scale(model, wanted, wanted)
