"""Optimizer and schedule: AdamW or SGD, with a warm-up and a lower learning rate for the backbone."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR, LinearLR, ReduceLROnPlateau

from train.core.config import StrictModel

Schedule = Literal["cosine", "constant", "plateau"]
MOMENTUM = 0.9  # of SGD
PLATEAU_FACTOR = 0.1  # by which the learning rate is multiplied after a plateau


class Optimization(StrictModel):
    """Settings of the optimizer and the schedule. A system overrides the defaults if its networks need others."""

    RENAMED: ClassVar[dict[str, str]] = {"rate": "learning_rate", "warm_up": "warmup"}

    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd uses a momentum of 0.9")
    learning_rate: float = Field(default=2e-4, gt=0, description="maximum, for all weights but the backbone's")
    backbone_rate: float = Field(
        default=0.3, ge=0, description="learning rate of the backbone, relative to learning_rate"
    )
    weight_decay: float = Field(default=1e-2, ge=0, description="1e-4 is usual for sgd")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of all steps in which the learning rate rises")
    schedule: Schedule = Field(default="cosine", description="of the learning rate after the warm-up")
    plateau_patience: int = Field(
        default=3, ge=0, description="validations without improvement before plateau divides the learning rate by ten"
    )

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """The trainable parameters in two groups for an optimizer: those of `network.backbone`, if any; the rest."""
        inner = getattr(network, "backbone", None)
        backbone = {id(parameter) for parameter in inner.parameters()} if inner is not None else set()
        trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in trainable if id(p) in backbone], "lr": self.learning_rate * self.backbone_rate},
            {"params": [p for p in trainable if id(p) not in backbone], "lr": self.learning_rate},
        ]

    def configure(
        self,
        groups: list[dict[str, Any]],
        steps: int,
        monitor: str = "",
        mode: Literal["min", "max"] = "max",
        **options: Any,
    ) -> Any:
        """The optimizer and its schedule, in the form that Lightning's `configure_optimizers` returns.

        groups: from `groups`. steps: of the optimizer, in the whole training. monitor, mode: the metric for the plateau
        schedule, and whether it should fall or rise. options: passed to the optimizer.
        """
        optimizer = (
            AdamW(groups, weight_decay=self.weight_decay, **options)
            if self.optimizer == "adamw"
            else SGD(groups, momentum=MOMENTUM, weight_decay=self.weight_decay, **options)
        )
        if self.schedule != "plateau":
            schedule = LambdaLR(optimizer, lambda step: self.factor(step, steps))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
        plateau = ReduceLROnPlateau(optimizer, mode, factor=PLATEAU_FACTOR, patience=self.plateau_patience)
        schedules: list[dict[str, Any]] = [{"scheduler": plateau, "monitor": monitor, "interval": "epoch"}]
        rising = round(self.warmup * steps)
        if rising:
            # LinearLR multiplies the current rate, so that a reduction after a plateau is kept.
            warmup = LinearLR(optimizer, start_factor=1 / (rising + 1), total_iters=rising)
            schedules.append({"scheduler": warmup, "interval": "step", "name": "warmup"})
        return [optimizer], schedules

    def factor(self, step: int, steps: int) -> float:
        """The learning rate at a step, counted from 0, relative to the maximum: a warm-up, then cosine or constant."""
        rising = round(self.warmup * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))


class ClassifierOptimization(Optimization):
    """Settings for training a classifier."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
