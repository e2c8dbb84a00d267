"""A small semantic segmenter: LR-ASPP on MobileNetV2."""

from __future__ import annotations

from torchvision.models import mobilenet_v2
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.lraspp import LRASPP


def mobilenet_v2_lraspp(num_classes: int, channels: int = 128) -> LRASPP:
    """Lite R-ASPP (Howard et al. 2019) on MobileNetV2's features at strides 8 and 16. No weights are fetched.

    Normalised images (B, 3, H, W) → {"out": logits (B, num_classes, H, W)}; H and W are multiples of 16.

    num_classes: with the background, which is class 0.
    channels: of the head.
    """
    backbone = IntermediateLayerGetter(mobilenet_v2().features, {"6": "low", "13": "high"})
    return LRASPP(backbone, low_channels=32, high_channels=96, num_classes=num_classes, inter_channels=channels)
