"""How a network with a published backbone learns: AdamW or SGD, warm-up, cosine, the backbone slower."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR

from train.core.config import StrictModel


class FineTuning(StrictModel):
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd has a momentum of 0.9")
    learning_rate: float = Field(default=2e-4, gt=0, description="the highest, of all but the backbone")
    backbone_rate: float = Field(default=0.3, ge=0, description="of the backbone, over the learning rate")
    weight_decay: float = Field(default=1e-2, ge=0, description="1e-4 is usual with sgd")
    warm_up: float = Field(default=0.05, ge=0, lt=1, description="part of the training in which the rate rises")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="after the warm-up")

    def configure(self, network: nn.Module, steps: int) -> dict[str, Any]:
        """Optimizer and schedule of `steps`, as Lightning takes them; `network.backbone` is the backbone, if any."""
        published = getattr(network, "backbone", None)
        backbone = {id(parameter) for parameter in published.parameters()} if published is not None else set()
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in learning if id(p) in backbone], "lr": self.learning_rate * self.backbone_rate},
            {"params": [p for p in learning if id(p) not in backbone], "lr": self.learning_rate},
        ]
        optimizer = (
            AdamW(groups, weight_decay=self.weight_decay)
            if self.optimizer == "adamw"
            else SGD(groups, momentum=0.9, weight_decay=self.weight_decay)
        )
        schedule = LambdaLR(optimizer, lambda step: self.factor(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def factor(self, step: int, steps: int) -> float:
        """Of the learning rate at a step, from 0."""
        rising = round(self.warm_up * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))
