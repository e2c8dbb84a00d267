"""MixUp and CutMix on whole batches, with soft targets."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms import v2

from train.core.config import StrictModel


class Mixing(StrictModel):
    """torchvision's MixUp (Zhang et al. 2018) and CutMix (Yun et al. 2019); if both are on, each batch gets one."""

    mixup: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0 to disable")
    cutmix: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0 to disable")
    probability: float = Field(default=0.5, ge=0, le=1, description="probability that a batch is mixed at all")

    def __call__(self, images_NCHW: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch and its targets, mixed or unchanged; the arguments are never modified.

        targets: float (N, classes), class probabilities; several tasks are concatenated.
        """
        ways = [way(alpha=alpha) for way, alpha in ((v2.MixUp, self.mixup), (v2.CutMix, self.cutmix)) if alpha > 0]
        if not ways or len(images_NCHW) < 2 or torch.rand(()) >= self.probability:
            return images_NCHW, targets
        images_NCHW, targets = ways[int(torch.randint(len(ways), ()))](images_NCHW, targets)
        return images_NCHW, targets

    @property
    def on(self) -> bool:
        return self.probability > 0 and (self.mixup > 0 or self.cutmix > 0)
