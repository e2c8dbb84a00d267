"""Small networks with random weights, shipped inside the test archives as a user's own code would be."""

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small
from torchvision.models.detection import KeypointRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign


def mask_rcnn(classes: int) -> MaskRCNN:
    """Mask R-CNN over one feature map of a small backbone; every proposal survives its thresholds."""
    backbone = mobilenet_v3_small(weights=None).features[:4]
    backbone.out_channels = 24
    model = MaskRCNN(
        backbone,
        num_classes=classes,
        min_size=64,
        max_size=128,
        rpn_anchor_generator=AnchorGenerator(((16, 32),), ((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        mask_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        box_score_thresh=0.0,
        box_detections_per_img=5,
        rpn_post_nms_top_n_test=1000,
    )
    # Spread the scores: near ties would be ordered by rounding, and no two runs of a batch could be compared.
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)
    return model


def keypoint_rcnn(classes: int, keypoints: int) -> KeypointRCNN:
    """Keypoint R-CNN over one feature map of a small backbone; every proposal survives its thresholds."""
    backbone = mobilenet_v3_small(weights=None).features[:4]
    backbone.out_channels = 24
    model = KeypointRCNN(
        backbone,
        num_classes=classes,
        min_size=64,
        max_size=128,
        rpn_anchor_generator=AnchorGenerator(((16, 32),), ((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        keypoint_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        keypoint_head=KeypointRCNNHeads(24, (16, 16)),
        keypoint_predictor=KeypointRCNNPredictor(16, keypoints),
        num_keypoints=None,
        box_score_thresh=0.0,
        box_detections_per_img=5,
        rpn_post_nms_top_n_test=1000,
    )
    with torch.no_grad():  # as above
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)
    return model


class Waveform(nn.Module):
    """Audio classification: (B, samples) → (B, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 8, 64, stride=32)
        self.head = nn.Linear(8, classes)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.head(self.convolution(waveform[:, None]).abs().amax(dim=2))


class Discrete(nn.Module):
    """A policy over two actions: (B, 4) → (B, 2), (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = nn.Linear(4, 2)
        self.critic = nn.Linear(4, 1)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor(observations), self.critic(observations).squeeze(1)


class Continuous(nn.Module):
    """A policy over one torque: (B, 3) → mean (B, 1), std (B, 1), value (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = nn.Linear(3, 1)
        self.log_std = nn.Parameter(torch.zeros(1))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = self.actor(observations)
        return mean, self.log_std.exp().expand_as(mean), observations.sum(dim=1)


class ActionValues(nn.Module):
    """A Q-network over three actions: (B, 2) → (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Linear(2, 3)

    def forward(self, observations: Tensor) -> Tensor:
        return self.values(observations)


class Products(nn.Module):
    """Values of three actions: (B, 2) → (B, 3)."""

    def forward(self, observations: Tensor) -> Tensor:
        return (observations[:, :1] * observations[:, 1:]).expand(-1, 3) * torch.tensor([1.0, 2.0, 3.0])
