"""Networks of transformers for semantic segmentation: the score of each class at each pixel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# To which Mask2Former's masks are stretched before they are added up, as its image processor does it.
MASK2FORMER_SIZE = (384, 384)


class SemanticScores(nn.Module):
    """float32 (N, 3, H, W) → scores (N, classes, height, width), one tuple of them, to be stretched to the image.

    SegFormer and its like answer with logits. MaskFormer and Mask2Former answer with masks and a class for each, which
    add up to scores: the sum over masks of the probability of the class times that of the pixel (Cheng, Schwing and
    Kirillov, "Per-Pixel Classification is Not All You Need", 2021).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config: Any = network.config
        self.stretches = config.model_type == "mask2former"

    def forward(self, pixels_NCHW: Tensor) -> tuple[Tensor, ...]:
        found = self.network(pixel_values=pixels_NCHW, return_dict=True)
        if "logits" in found:
            return (found["logits"].float(),)
        classes_NQC = found["class_queries_logits"].float().softmax(dim=-1)[..., :-1]
        masks_NQHW = found["masks_queries_logits"].float()
        if self.stretches:
            masks_NQHW = F.interpolate(masks_NQHW, MASK2FORMER_SIZE, mode="bilinear", align_corners=False)
        return (torch.einsum("nqc,nqhw->nchw", classes_NQC, masks_NQHW.sigmoid()),)
