"""Fine-tuning of a published network, shared by detection and segmentation."""

from __future__ import annotations

from typing import Any, Self

from lightning.pytorch import LightningModule
from torch import nn

from train.core.optimization import Optimization


class FineTunedModule(LightningModule):
    """keep: names of batch norms whose published statistics are kept."""

    def __init__(self, network: nn.Module, labels: list[str], learning: Optimization, keep: list[str] | None) -> None:
        super().__init__()
        self.network = network
        self.labels = labels
        self.learning = learning
        self.keep = set(keep or [])

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for name, module in self.network.named_modules():
            if name in self.keep:
                module.eval()
        return self

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        return self.learning.configure(self.learning.groups(self.network), steps)
