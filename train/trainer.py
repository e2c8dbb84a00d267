"""Lightning's Trainer as the demo models use it: on whatever accelerator there is, one progress bar, no files."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar

Precision = Literal["bf16-mixed", "32-true"]
# Processes that prepare batches; the training loop keeps a core.
LOADERS = min(8, max(1, (os.cpu_count() or 1) - 1))


def training_precision() -> Precision:
    """bfloat16 where the device computes in it; elsewhere it is emulated, and slower than float32."""
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return "bf16-mixed" if native else "32-true"


def trainer(precision: Precision = "32-true", **options: Any) -> Trainer:
    """A Trainer on one device that shows its progress and writes nothing; `options` are Trainer's own."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (".*does not have many workers.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message, module="lightning")
    return Trainer(
        accelerator="auto",
        devices=1,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[RichProgressBar()],
        **options,
    )
