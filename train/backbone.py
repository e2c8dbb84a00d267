"""Fine-tuning from torchvision's ImageNet MobileNetV2."""

from __future__ import annotations

from torch import nn
from torchvision.models import MobileNet_V2_Weights

from train.checkpoints import state_dict


def load_imagenet(features: nn.Module, frozen: int) -> None:
    """Load ImageNet weights into MobileNetV2's `features` and freeze the first `frozen` of its 19 layers.

    Early layers see edges and colours, which need no fine-tuning: leaving them out halves the time of a step.
    """
    prefix = "features."
    published = state_dict(MobileNet_V2_Weights.IMAGENET1K_V1)
    wanted = features.state_dict()
    features.load_state_dict({name: published[prefix + name] for name in wanted})
    for index, layer in enumerate(features.children()):
        if index < frozen:
            layer.requires_grad_(False)


def keep_statistics(features: nn.Module) -> None:
    """Put the batch-norm layers into eval mode: a short fine-tuning has no better statistics than ImageNet's."""
    for module in features.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
