"""The preprocessing of detectors: how an image is fitted into the input, and what outputs and keypoints mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handlers.formats.preprocessing.fields import (
    Check,
    Fault,
    flag,
    keys,
    list_of,
    name,
    number,
    one_of,
    optional,
    wanted,
    whole,
)
from handlers.formats.preprocessing.images import COLOURS, size

ROW = ("x1", "y1", "x2", "y2", "score", "class")
CORNERS = {"xyxy": ("x1", "y1", "x2", "y2"), "cxcywh": ("cx", "cy", "w", "h"), "xywh": ("x1", "y1", "w", "h")}
COLUMNS = (*ROW, "cx", "cy", "w", "h", "batch")
ROLES = ("boxes", "scores", "labels", "count")
DEFAULT_BOXES = "cxcywh"
MAX_KEYPOINTS, MAX_LINES = 10_000, 100_000

LAYOUT: dict[str, Check] = {
    "boxes": one_of(*CORNERS),
    "unit": one_of("pixels", "fraction"),
    "objectness": flag,
    "activation": one_of("none", "sigmoid", "softmax"),
    "nms": flag,
    "iou_threshold": number(0, 1),
    "transposed": optional(flag),
    "columns": list_of(one_of(*COLUMNS), 1, len(COLUMNS)),
    "names": optional(keys({"boxes": name, "scores": name}, dict.fromkeys(ROLES, name))),
    "no_object": optional(one_of("first", "last")),
}
layout = keys({"layout": one_of("grid", "rows", "separate")}, LAYOUT)


def output(where: str, value: Any) -> Iterator[Fault]:
    """How a detector's outputs say boxes, scores and classes."""
    faults = list(layout(where, value))
    if not faults and value["layout"] == "separate" and not value.get("names"):
        faults.append((f"{where}.names", "wanted the names of the outputs that are boxes and scores; got none"))
    if not faults and value["layout"] == "rows":
        columns, boxes = value.get("columns", ROW), value.get("boxes", DEFAULT_BOXES)
        if missing := {*CORNERS[boxes], "score", "class"} - set(columns):
            said = f"{', '.join(sorted(missing))} among the columns, for boxes {boxes}"
            faults.append(wanted(said, f"{where}.columns", ", ".join(columns)))
    yield from faults


exported = keys(
    {"size": size, "output": output},
    {
        "fit": one_of("letterbox", "stretch"),
        "align": one_of("centre", "corner"),
        "fill": whole(0, 255),
        "antialias": flag,
        "channels": one_of("RGB", "BGR"),
        **COLOURS,
    },
)
torchvision = keys({})


def keypoints(where: str, value: Any) -> Iterator[Fault]:
    """A name for each keypoint, and the pairs of them that lines join."""
    faults = list(named(where, value))
    if not faults:
        pair = list_of(whole(0, len(value["keypoints"]) - 1), 2, 2)
        faults += list_of(pair, 0, MAX_LINES)(f"{where}.skeleton", value.get("skeleton", ()))
    yield from faults


named = keys(
    {"keypoints": list_of(name, 1, MAX_KEYPOINTS)},
    {"skeleton": list_of(list_of(whole(0, MAX_KEYPOINTS), 2, 2), 0, MAX_LINES)},
)
