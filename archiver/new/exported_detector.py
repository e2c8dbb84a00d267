"""Determines the layout of a detector's outputs from their names and shapes, or as in YOLO's exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from archiver.new.findings import Findings, Setting, refused

Shape = tuple[int | str | None, ...]
# Parts of output names by content; the first match counts.
ROLES = {
    "count": ("num",),
    "boxes": ("box",),
    "scores": ("score", "logit", "conf"),
    "labels": ("label", "class", "cls"),
}
ASSUMED = "assumed from the shapes of the outputs; see docs/own-model.md"
SIDE = 640


def output_of(
    path: Path,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    size: tuple[int, int] | None,
    names: int | None,
) -> tuple[int | None, Setting]:
    """(classes, preprocessing) of a detector. Raises SpecError for unsupported outputs."""
    first = next(iter(outputs.values()))
    roles = roles_of(outputs)
    classes: int | None = names
    values: dict[str, Any] = {"size": list(size or (SIDE, SIDE))}
    if {"boxes", "scores"} <= roles.keys():
        output = separate(outputs, roles, stretched=len(inputs) > 1)
        scores = outputs[roles["scores"]]
        if "labels" not in roles and isinstance(scores[-1], int):
            classes = classes or scores[-1] - ("no_object" in output)
        if len(inputs) > 1 or output.get("unit") == "fraction":
            values |= {"fit": "stretch", "antialias": True}
        if output.get("unit") == "fraction":
            values |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    elif len(first) in (2, 3) and first[-1] in (6, 7):
        output = {"layout": "rows", "boxes": "xyxy"}
        if first[-1] == 7:
            output["columns"] = ["batch", "x1", "y1", "x2", "y2", "class", "score"]
    elif len(first) == 3:
        classes, output = grid(path, first, names)
    else:
        shapes = "; ".join(f"{name} {list(shape)}" for name, shape in outputs.items())
        raise refused(
            path, f"its outputs are {shapes}; wanted boxes, scores and classes as docs/own-model.md lists them"
        )
    return classes, Setting("preprocessing", {**values, "output": output}, ASSUMED, certain=False)


def roles_of(outputs: Mapping[str, Shape]) -> dict[str, str]:
    """The outputs' names by content."""
    found: dict[str, str] = {}
    for role, parts in ROLES.items():
        for name in outputs:
            if name not in found.values() and any(part in name.lower() for part in parts):
                found.setdefault(role, name)
    return found


def separate(outputs: Mapping[str, Shape], roles: dict[str, str], stretched: bool) -> dict[str, Any]:
    names = {role: roles[role] for role in ("boxes", "scores", "labels", "count") if role in roles}
    if "labels" in roles or "count" in roles:
        output: dict[str, Any] = {"layout": "separate", "boxes": "xyxy", "names": names}
        # torchvision's detectors have no batch dimension and count the background as a class.
        if len(outputs[roles["boxes"]]) == 2 and not stretched:
            output["no_object"] = "first"
        return output
    # DETR: boxes relative to the input, raw scores whose last class means no object.
    return {
        "layout": "separate",
        "boxes": "cxcywh",
        "unit": "fraction",
        "activation": "softmax",
        "no_object": "last",
        "names": names,
    }


def with_background(found: Findings) -> Findings:
    """With a layout that leaves no class out if the names begin with the background's."""
    named = bool(found.labels) and found.labels[0].strip("_").lower() == "background"
    settings = []
    for setting in found.settings:
        output = setting.value.get("output", {}) if isinstance(setting.value, dict) else {}
        if named and output.get("no_object") == "first":
            kept = {key: value for key, value in output.items() if key != "no_object"}
            setting = replace(setting, value={**setting.value, "output": kept})
        settings.append(setting)
    return replace(found, settings=settings)


def grid(path: Path, shape: Shape, names: int | None) -> tuple[int, dict[str, Any]]:
    """The smaller dimension has the columns: first and without objectness since YOLOv8, last and with it in YOLOv5."""
    sides = [side if isinstance(side, int) else None for side in shape[1:]]
    known = [side for side in sides if side is not None]
    if not known:
        raise refused(path, f"its output is {list(shape)}: export it with fixed dimensions, or name the layout by hand")
    columns = min(known)
    transposed = sides[1] == columns and sides[0] != columns
    objectness = columns == names + 5 if names else transposed
    if names and columns not in (names + 4, names + 5):
        raise refused(path, f"its output has {columns} columns; wanted 4 or 5 and one for each of its {names} names")
    output = {"layout": "grid", "boxes": "cxcywh", "objectness": objectness, "nms": True, "iou_threshold": 0.7}
    return columns - 4 - objectness, output
