"""Optimizer and schedule: AdamW or SGD, a warm-up, a lower learning rate for the backbone."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR, LinearLR, ReduceLROnPlateau

from train.core.config import StrictModel

Schedule = Literal["cosine", "constant", "plateau"]
# The momentum of SGD; the factor for the learning rate after a plateau.
MOMENTUM, PLATEAU_FACTOR = 0.9, 0.1


class Optimization(StrictModel):
    """A system overrides the defaults if its networks need others."""

    RENAMED: ClassVar[dict[str, str]] = {"rate": "learning_rate", "warm_up": "warmup"}

    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd has a momentum of 0.9")
    learning_rate: float = Field(default=2e-4, gt=0, description="the highest, of all but the backbone")
    backbone_rate: float = Field(default=0.3, ge=0, description="of the backbone, over the learning rate")
    weight_decay: float = Field(default=1e-2, ge=0, description="1e-4 is usual with sgd")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of all steps in which the rate rises")
    schedule: Schedule = Field(default="cosine", description="after the warm-up")
    plateau_patience: int = Field(default=3, ge=0, description="validations without improvement; then a tenth")

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Trainable parameters in groups for an optimizer; `network.backbone` is the backbone, if there is one."""
        published = getattr(network, "backbone", None)
        backbone = {id(parameter) for parameter in published.parameters()} if published is not None else set()
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in learning if id(p) in backbone], "lr": self.learning_rate * self.backbone_rate},
            {"params": [p for p in learning if id(p) not in backbone], "lr": self.learning_rate},
        ]

    def configure(
        self,
        groups: list[dict[str, Any]],
        steps: int,
        monitor: str = "",
        mode: Literal["min", "max"] = "max",
        **options: Any,
    ) -> Any:
        """Optimizer and schedule of `steps`, as Lightning takes them.

        monitor, mode: the metric that a plateau is seen in. options: the optimizer's own.
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
            # It multiplies the present rate, and so keeps a reduction after a plateau.
            warmup = LinearLR(optimizer, start_factor=1 / (rising + 1), total_iters=rising)
            schedules.append({"scheduler": warmup, "interval": "step", "name": "warmup"})
        return [optimizer], schedules

    def factor(self, step: int, steps: int) -> float:
        """The part of the learning rate at a step, from 0, of a cosine or a constant."""
        rising = round(self.warmup * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))


class ClassifierOptimization(Optimization):
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
