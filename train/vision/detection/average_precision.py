"""COCO's mean average precision: torchmetrics gathers across processes, pycocotools computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision

Kind = Literal["bbox", "segm"]

# pycocotools' own thresholds in double precision. torchmetrics' defaults come from float32, in which 0.6 is 0.60000002,
# so that a box with an overlap of exactly 0.6 would not match.
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
# Probability from which a pixel belongs to a mask, in evaluation as in serving.
MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class Precision:
    """COCO's metrics for boxes or masks.

    mean: over classes and IoU thresholds from 0.50 to 0.95. at_50, at_75: at these thresholds only.
    by_class: by label index, for classes with annotated objects.
    curves: by label index, the precision (101,) at IoU 0.50 for recalls 0, 0.01, … 1. scores: the score threshold for
    each of these.
    """

    mean: float
    at_50: float
    at_75: float
    by_class: dict[int, float]
    curves: dict[int, NDArray[np.float64]]
    scores: dict[int, NDArray[np.float64]]

    def to_dict(self, labels: list[str], name: str = "mAP") -> dict[str, Any]:
        """{"mAP", "mAP@.50", "mAP@.75", "mAP per class"}, rounded; None for a class without objects."""
        per_class = {
            label: round(self.by_class[index], 4) if index in self.by_class else None
            for index, label in enumerate(labels)
            if index
        }
        return {
            name: round(self.mean, 4),
            f"{name}@.50": round(self.at_50, 4),
            f"{name}@.75": round(self.at_75, 4),
            f"{name} per class": per_class,
        }


class AveragePrecision(nn.Module):
    """Collects detections and ground truth; a module, so that Lightning moves it to the device.

    masks: also measure masks, as `segm` next to `bbox`.
    """

    def __init__(self, masks: bool = False) -> None:
        super().__init__()
        # Boxes are always measured as well: for masks alone, torchmetrics ignores images without an object, and so all
        # false detections on them.
        self.kinds: tuple[Kind, ...] = ("bbox", "segm") if masks else ("bbox",)
        self.metric = MeanAveragePrecision(
            iou_type=self.kinds,
            iou_thresholds=IOU_THRESHOLDS.tolist(),
            rec_thresholds=RECALLS.tolist(),
            extended_summary=True,
            backend="pycocotools",
        )
        self.metric.warn_on_many_detections = False

    def update(self, found: list[dict[str, Tensor]], truth: list[dict[str, Tensor]]) -> None:
        """found: boxes (N, 4), scores, labels and mask probabilities (N, 1, H, W), as torchvision's detectors return
        them.

        truth: boxes, labels, iscrowd, area and masks (N, H, W). Detections in a crowd are ignored.
        """
        if "segm" in self.kinds:
            found = [{**item, "masks": (item["masks"][:, 0] >= MASK_THRESHOLD).to(torch.uint8)} for item in found]
        self.metric.update(found, truth)

    def compute(self) -> dict[Kind, Precision]:
        """Compute over all processes, and reset."""
        computed = self.metric.compute()
        self.metric.reset()
        classes = computed["classes"].reshape(-1).tolist()
        return {kind: precision(computed, f"{kind}_" if len(self.kinds) > 1 else "", classes) for kind in self.kinds}


def precision(computed: dict[str, Any], prefix: str, classes: list[int]) -> Precision:
    # (IoU thresholds, recalls, classes, area ranges, detection limits); -1 for a class without objects.
    table, scores = computed[f"{prefix}precision"].numpy(), computed[f"{prefix}scores"].numpy()
    of_class = {label: table[:, :, position, 0, -1] for position, label in enumerate(classes)}
    there = {label: values for label, values in of_class.items() if (values > -1).any()}
    return Precision(
        mean=computed[f"{prefix}map"].item(),
        at_50=computed[f"{prefix}map_50"].item(),
        at_75=computed[f"{prefix}map_75"].item(),
        by_class={label: float(values[values > -1].mean()) for label, values in there.items()},
        curves={label: values[0] for label, values in there.items()},
        scores={label: scores[0, :, classes.index(label), 0, -1] for label in there},
    )
