"""A small one-stage detector: SSDLite heads on a feature pyramid over MobileNetV2."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import WeightsEnum, get_model, mobilenet_v2
from torchvision.models.detection import (
    FasterRCNN_ResNet50_FPN_Weights,
    KeypointRCNN_ResNet50_FPN_Weights,
    MaskRCNN_ResNet50_FPN_Weights,
    RetinaNet_ResNet50_FPN_Weights,
)
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import FrozenBatchNorm2d

# Layers of MobileNetV2's `features` that end the strides 8, 16 and 32, and their channels.
_LAYERS = {"6": 32, "13": 96, "18": 1280}
# Sides of the default boxes, relative to the image, at the strides 8, 16, 32 and 64; the last closes the series.
_SCALES = [0.14, 0.22, 0.36, 0.58, 0.9]


class AntialiasedTransform(GeneralizedRCNNTransform):
    """torchvision's normalisation and resize to a fixed size, with a low-pass filter before it shrinks an image.

    Without one, a photograph of ten megapixels would reach a small network as every tenth of its pixels.
    """

    def normalize(self, image: Tensor) -> Tensor:
        """Nothing yet: afterwards an image has fewer pixels, and both ways give the same."""
        return image

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Resize an image (3, H, W), and the target's boxes with it, to `fixed_size` (width, height); normalise it."""
        width, height = self.fixed_size
        resized = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0]
        resized = super().normalize(resized)
        if target is not None:
            boxes = resize_boxes(target["boxes"], list(image.shape[-2:]), list(resized.shape[-2:]))
            target = {**target, "boxes": boxes}
        return resized, target


def mobilenet_v2_ssd(
    num_classes: int,
    image_size: int = 224,
    channels: int = 128,
    score_thresh: float = 0.01,
    nms_thresh: float = 0.45,
    detections_per_img: int = 100,
) -> SSD:
    """SSD (Liu et al. 2016) with SSDLite heads (Sandler et al. 2018) on a feature pyramid (Lin et al. 2017).

    It follows torchvision's detection contract: a list of images (3, H, W) in [0, 1] of any sizes → a list of dicts
    with boxes, labels and scores. No weights are fetched.

    num_classes: with the background, which is class 0.
    image_size: the side of the square every image is resized to, a multiple of 32.
    channels: of every level of the pyramid.
    score_thresh, nms_thresh, detections_per_img: what is reported, as torchvision's own detectors name them.
    """
    pyramid = BackboneWithFPN(
        mobilenet_v2().features,
        return_layers={layer: layer for layer in _LAYERS},
        in_channels_list=list(_LAYERS.values()),
        out_channels=channels,
        norm_layer=nn.BatchNorm2d,
    )
    levels = len(_SCALES) - 1
    anchors = DefaultBoxGenerator([[1.6]] * levels, scales=_SCALES)
    head = SSDLiteHead([channels] * levels, anchors.num_anchors_per_location(), num_classes, nn.BatchNorm2d)
    size = (image_size, image_size)
    limits = {"score_thresh": score_thresh, "nms_thresh": nms_thresh, "detections_per_img": detections_per_img}
    network = SSD(pyramid, anchors, size, num_classes, head=head, **limits)
    network.transform = AntialiasedTransform(
        image_size, image_size, network.transform.image_mean, network.transform.image_std, 1, size
    )
    return network


def has_zero_epsilon(weights: WeightsEnum) -> bool:
    """Whether torchvision takes the epsilon out of the batch norms that go with these weights.

    They are the first it published of these detectors, trained before its frozen batch norm had one.
    """
    return weights in (
        FasterRCNN_ResNet50_FPN_Weights.COCO_V1,
        MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
        KeypointRCNN_ResNet50_FPN_Weights.COCO_V1,
        RetinaNet_ResNet50_FPN_Weights.COCO_V1,
    )


def zero_epsilon(model: str, **arguments: Any) -> nn.Module:
    """torchvision's detector `model` with frozen batch norms that divide by the standard deviation as it is.

    arguments: of its builder. No weights are fetched.
    """
    network: nn.Module = get_model(model, **arguments)
    for parent in list(network.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(module.num_features, eps=0.0))
    return network
