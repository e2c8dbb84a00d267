"""How a detector's outputs say boxes, scores and classes, as its spec names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_convert

from handlers.formats.preprocessing.detection import CORNERS, ROW
from handlers.ranking import check_count

# Candidates of one image that suppression looks at, best first: it compares each with each.
MAX_CANDIDATES = 30_000
Found = dict[str, Tensor]


@dataclass(frozen=True)
class OutputLayout:
    """layout: "grid", one output with a column or row for each candidate, which holds its box, `objectness` if there is
    one, and a score for each class; "rows", one output with a row for each detection, suppressed inside; or "separate",
    an output each for boxes, scores and labels, or for boxes and the scores of all classes.

    boxes: "cxcywh", "xyxy" or "xywh". unit: "pixels" of the input, or "fraction" of its sides. activation: "none",
    "sigmoid" or "softmax", which makes scores of a model's raw outputs. nms: whether overlapping boxes of one class are
    suppressed here, above `iou_threshold`. transposed: whether a grid is (N, candidates, columns); None: by its shape.
    columns: of a row, some of x1 y1 x2 y2 cx cy w h score class batch. names: of the outputs of "separate", {"boxes",
    "scores", "labels", "count"}. no_object: "first" or "last", the class of scores that stands for nothing and has no
    label.
    """

    layout: Literal["grid", "rows", "separate"]
    boxes: Literal["cxcywh", "xyxy", "xywh"] = "cxcywh"
    unit: Literal["pixels", "fraction"] = "pixels"
    objectness: bool = False
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    nms: bool = False
    iou_threshold: float = 0.7
    transposed: bool | None = None
    columns: tuple[str, ...] = ROW
    names: Mapping[str, str] | None = None
    no_object: Literal["first", "last"] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OutputLayout:
        """values: of the form that handlers.formats.preprocessing.detection checks."""
        fields: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**fields)

    def read(
        self, outputs: Mapping[str, Tensor], count: int, size: tuple[int, int], labels: Sequence[str]
    ) -> list[Found]:
        """boxes (N, 4) x1 y1 x2 y2 in the input's pixels, scores (N,), labels (N,) of each of `count` images.

        outputs: by name, of the whole batch. size: (height, width) of the input.
        """
        match self.layout:
            case "grid":
                found = self.grid(only(outputs), labels)
            case "rows":
                found = self.rows(only(outputs), count)
            case _:
                found = self.separate(outputs, labels)
        if len(found) != count:
            raise ValueError(f"the model answers {count} images with {len(found)} lists of boxes")
        return [self.finished(each, size, len(labels)) for each in found]

    def grid(self, output: Tensor, labels: Sequence[str]) -> list[Found]:
        width = 4 + self.objectness + len(labels) + (self.no_object is not None)
        if output.ndim != 3 or width not in output.shape[1:]:
            wanted = f"{width} columns: a box and the scores of {len(labels)} labels"
            raise ValueError(f"its output is {list(output.shape)}; wanted {wanted}")
        transposed = self.transposed if self.transposed is not None else output.shape[2] == width
        candidates_BNC = output if transposed else output.transpose(1, 2)
        check_count(candidates_BNC.shape[2] - 4 - self.objectness - (self.no_object is not None), labels)
        return [self.best(rows[:, :4], rows[:, 4:]) for rows in candidates_BNC]

    def best(self, boxes_N4: Tensor, scores_NC: Tensor) -> Found:
        """Each candidate with its most probable class."""
        if self.activation == "softmax":
            scores_NC = scores_NC.softmax(1)
        elif self.activation == "sigmoid":
            scores_NC = scores_NC.sigmoid()
        if self.objectness:
            scores_NC = scores_NC[:, 1:] * scores_NC[:, :1]
        if self.no_object is not None:
            scores_NC = scores_NC[:, 1:] if self.no_object == "first" else scores_NC[:, :-1]
        scores, indices = scores_NC.max(1)
        return {"boxes": boxes_N4, "scores": scores, "labels": indices}

    def rows(self, output: Tensor, count: int) -> list[Found]:
        if output.shape[-1] != len(self.columns):
            raise ValueError(f"its output is {list(output.shape)}; wanted rows of {', '.join(self.columns)}")
        place = {name: index for index, name in enumerate(self.columns)}
        if "batch" in place:
            flat = output.reshape(-1, len(self.columns))
            images = [flat[flat[:, place["batch"]] == index] for index in range(count)]
        else:
            images = list(output if output.ndim == 3 else output[None])
        box = [place[name] for name in CORNERS[self.boxes]]
        return [
            {
                "boxes": rows[:, box],
                "scores": rows[:, place["score"]],
                "labels": rows[:, place["class"]].long(),
            }
            for rows in images
        ]

    def separate(self, outputs: Mapping[str, Tensor], labels: Sequence[str]) -> list[Found]:
        names = self.names or {}
        if missing := [name for name in names.values() if name not in outputs]:
            raise ValueError(f"output.names: there is no output {missing[0]}; there are {', '.join(outputs)}")
        parts = {role: outputs[name] for role, name in names.items()}
        if parts["boxes"].ndim == 2:  # of one image, without a batch
            parts = {role: part[None] for role, part in parts.items()}
        images = []
        for index, boxes_N4 in enumerate(parts["boxes"]):
            scores = parts["scores"][index]
            if "labels" not in parts:
                if scores.ndim != 2:
                    raise ValueError("output.names: scores without labels; wanted the scores of all classes")
                check_count(scores.shape[1] - (self.no_object is not None), labels)
                found = self.best(boxes_N4, scores)
            else:
                found = {"boxes": boxes_N4, "scores": scores, "labels": parts["labels"][index].long()}
                if self.no_object == "first":
                    found["labels"] = found["labels"] - 1
            if "count" in parts:
                kept = int(parts["count"][index].reshape(-1)[0])
                found = {role: part[:kept] for role, part in found.items()}
            images.append(found)
        return images

    def finished(self, found: Found, size: tuple[int, int], classes: int) -> Found:
        """Boxes as corners in pixels, best first, without rows that only fill the output, suppressed if `nms`."""
        boxes_N4 = found["boxes"].float()
        if self.unit == "fraction":
            boxes_N4 = boxes_N4 * torch.tensor([size[1], size[0]] * 2)
        boxes_N4 = box_convert(boxes_N4, self.boxes, "xyxy")
        if len(found["labels"]) and int(found["labels"].max()) >= classes:
            raise ValueError(f"the model found class {int(found['labels'].max())}; the artifact names {classes} labels")
        order = found["scores"].argsort(descending=True, stable=True)
        order = order[found["labels"][order] >= 0][:MAX_CANDIDATES]
        boxes_N4, scores, labels = boxes_N4[order], found["scores"][order], found["labels"][order]
        if self.nms:
            kept = batched_nms(boxes_N4, scores, labels, self.iou_threshold)
            boxes_N4, scores, labels = boxes_N4[kept], scores[kept], labels[kept]
        return {"boxes": boxes_N4, "scores": scores, "labels": labels}


def only(outputs: Mapping[str, Tensor]) -> Tensor:
    """The first output; others, as of exports that show their inner maps, are left alone."""
    return next(iter(outputs.values()))
