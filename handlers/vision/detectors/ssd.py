"""The postprocessing of torchvision's SSD for a whole batch: a GPU is not waited for class by class."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.ssd import SSD
from torchvision.ops import batched_nms

from handlers.networks.detector_trunk import Detections


def batch_postprocessing(detector: nn.Module) -> None:
    """Make an SSD whose postprocessing is torchvision's own use `detections`."""
    if isinstance(detector, SSD) and type(detector).postprocess_detections is SSD.postprocess_detections:
        vars(detector)["postprocess_detections"] = partial(detections, detector)


def detections(
    detector: Any, head_outputs: dict[str, Tensor], anchors: list[Tensor], sizes: list[tuple[int, int]]
) -> Detections:
    """As SSD.postprocess_detections has it: of each class the best `topk_candidates` above the threshold, those that
    overlap a better one of their class left out, and the best `detections_per_img` of the rest.

    All pairs of an image and a class are suppressed in one call, in float64: `batched_nms` shifts each pair's boxes by
    more than an image, and with hundreds of pairs float32 would have no bits left for the boxes.
    """
    scores_BAC = F.softmax(head_outputs["cls_logits"], dim=-1)
    images, count, classes = scores_BAC.shape
    boxes_BA4 = clipped(detector, head_outputs["bbox_regression"], anchors, sizes)
    best_BCK, places_BCK = (
        scores_BAC[..., 1:].transpose(1, 2).topk(min(int(detector.topk_candidates), count), dim=2, sorted=True)
    )
    image, label, rank = (best_BCK > detector.score_thresh).nonzero(as_tuple=True)  # the first wait
    scores = best_BCK[image, label, rank]
    boxes = boxes_BA4[image, places_BCK[image, label, rank]]
    kept = batched_nms(boxes.double(), scores.double(), image * classes + label, detector.nms_thresh)
    kept = kept[image[kept].argsort(stable=True)]  # the best of each image first
    boxes, scores, labels = boxes[kept], scores[kept], label[kept] + 1
    numbers = image[kept].bincount(minlength=images).tolist()  # the second
    parts = zip(boxes.split(numbers), scores.split(numbers), labels.split(numbers), strict=True)
    most = detector.detections_per_img
    return [{"boxes": box[:most], "scores": score[:most], "labels": name[:most]} for box, score, name in parts]


def clipped(detector: Any, regression_BA4: Tensor, anchors: list[Tensor], sizes: list[tuple[int, int]]) -> Tensor:
    """The boxes of all anchors, cut at their images' edges."""
    anchors_BA4 = torch.stack(anchors)
    boxes_BA4 = detector.box_coder.decode_single(regression_BA4.reshape(-1, 4), anchors_BA4.reshape(-1, 4))
    limits = torch.tensor([[width, height] * 2 for height, width in sizes], dtype=boxes_BA4.dtype)
    limits_B14 = limits.to(boxes_BA4.device, non_blocking=True)[:, None]
    return torch.minimum(boxes_BA4.reshape_as(anchors_BA4).clamp(min=0), limits_B14)
