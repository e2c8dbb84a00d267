"""The score of one detection as a function of the network's input, before boxes are chosen among its candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_convert, box_iou, clip_boxes_to_image

from handlers.explanation.attribution import Score
from handlers.vision.detectors.transformers_detector import TransformersDetector

# How much more a difference of scores weighs than one of overlaps: boxes may have been clipped, scores are unchanged.
SCORES = 100.0


@dataclass(frozen=True)
class Candidates:
    """One input's. boxes: (candidates, 4) x1 y1 x2 y2 in the input's pixels. scores: (candidates,) of one class."""

    boxes: Tensor
    scores: Tensor

    def nearest(self, box: Tensor, score: float) -> int:
        """The candidate that became a detection: apart from rounding, it has the detection's score, and its box unless
        the image clips that."""
        overlap = box_iou(self.boxes, box[None])[:, 0].nan_to_num(0.0)  # NaN for a box without an area
        return int((overlap - SCORES * (self.scores - score).abs()).argmax())


class TorchvisionScores:
    """Scores of torchvision's detectors, whose inputs are (N, 3, h, w), resized, normalised and padded."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model

    @staticmethod
    def knows(model: nn.Module) -> bool:
        """Whether a model has torchvision's parts: two stages, or a head over anchors."""
        if isinstance(model, torch.jit.ScriptModule):
            return False
        return isinstance(model, GeneralizedRCNN) or (hasattr(model, "anchor_generator") and hasattr(model, "head"))

    def inputs(self, image_CHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The input for an image, float32 in [0, 1], and (height, width) of the image in it."""
        images, _ = self.model.transform([image_CHW])
        return images.tensors, images.image_sizes[0]

    def features(self, inputs: Tensor) -> dict[str, Tensor]:
        maps = self.model.backbone(inputs)
        return {"0": maps} if isinstance(maps, Tensor) else maps

    def of(self, inputs: Tensor, box: Tensor, label: int, score: float, target: int) -> Score:
        """box, label, score: the detection's, the box in the input's pixels. target: the class to explain.

        With two stages: the class's logit for the region in the box. With one: that of the anchor that became the box.
        """
        if isinstance(self.model, GeneralizedRCNN):
            return lambda inputs: self.region_logits(inputs, box)[:, target]
        anchor = self.candidates(inputs, label).nearest(box, score)
        return lambda inputs: self.head(inputs)["cls_logits"][:, anchor, target]

    def region_logits(self, inputs: Tensor, box: Tensor) -> Tensor:
        heads: Any = self.model.roi_heads
        count, size = len(inputs), tuple(inputs.shape[-2:])
        pooled = heads.box_roi_pool(self.features(inputs), [box[None]] * count, [size] * count)
        logits: Tensor = heads.box_predictor(heads.box_head(pooled))[0]
        return logits

    def head(self, inputs: Tensor) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = self.model.head(list(self.features(inputs).values()))
        return outputs

    def candidates(self, inputs: Tensor, label: int) -> Candidates:
        features = list(self.features(inputs).values())
        outputs = self.model.head(features)
        [anchors] = self.model.anchor_generator(ImageList(inputs, [tuple(inputs.shape[-2:])]), features)
        coder, regression = self.model.box_coder, outputs["bbox_regression"][0]
        decode: Callable[[Tensor, Tensor], Tensor] = getattr(coder, "decode_single", None) or coder.decode
        logits = outputs["cls_logits"][0]
        if "bbox_ctrness" in outputs:  # FCOS
            scores = (logits[:, label].sigmoid() * outputs["bbox_ctrness"][0, :, 0].sigmoid()).sqrt()
        elif "score_thresh" in vars(self.model) and hasattr(self.model, "neg_to_pos_ratio"):  # SSD
            scores = logits.softmax(dim=1)[:, label]
        else:
            scores = logits[:, label].sigmoid()
        boxes = clip_boxes_to_image(decode(regression, anchors).reshape(-1, 4), tuple(inputs.shape[-2:]))
        return Candidates(boxes, scores)


class QueryScores:
    """Scores of transformers' detectors with queries, such as DETR, RT-DETR and YOLOS: each has a box and logits."""

    def __init__(self, detector: TransformersDetector) -> None:
        self.detector = detector
        self.network: Any = detector.network

    def inputs(self, image_CHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The input for an image, float32 in [0, 1], and its (height, width)."""
        pixels = self.detector.images.geometry(image_CHW.mul(255).round().to(torch.uint8).cpu())[None]
        height, width = pixels.shape[-2:]
        return pixels.to(next(self.network.parameters()).device), (height, width)

    def of(self, inputs: Tensor, box: Tensor, label: int, score: float, target: int) -> Score:
        """The logit of the class at the query that became the box."""
        outputs = self.network(pixel_values=inputs, return_dict=True)
        height, width = inputs.shape[-2:]
        boxes = box_convert(outputs["pred_boxes"][0].float(), "cxcywh", "xyxy")
        boxes = boxes * torch.tensor([width, height, width, height], device=boxes.device)
        logits = outputs["logits"][0].float()
        # DETR's have one more, for no object at all; others score each class independently.
        scores = logits.softmax(dim=1) if logits.shape[1] > self.network.config.num_labels else logits.sigmoid()
        query = Candidates(boxes, scores[:, label]).nearest(box, score)
        return lambda inputs: self.network(pixel_values=inputs, return_dict=True)["logits"][:, query, target].float()
