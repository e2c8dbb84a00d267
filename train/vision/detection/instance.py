"""`system: instance-segmentation`: Mask R-CNN for the classes of the user's own COCO file."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from train.core.artifact import Task
from train.vision.detection.experiment import ObjectDetection
from train.vision.detection.models import DetectorSettings, MaskDetector


class MaskModel(DetectorSettings):
    architecture: MaskDetector = Field(default="maskrcnn_resnet50_fpn_v2")


class InstanceSegmentation(ObjectDetection):
    """Like object detection, with a mask for each box; annotations without a segmentation are skipped."""

    task: ClassVar[Task] = "instance-segmentation"
    masks: ClassVar[bool] = True

    model: MaskModel = MaskModel()  # type: ignore[assignment]
