"""How far two answers to the same request agree, from 0 to 1, depending on the kind of answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from client import Answer

OVERLAP = 0.5  # IoU from which two boxes or masks count as the same object
Found = Mapping[str, Any]


def agreement(old: Answer, new: Answer) -> float:
    """Classes: whether the top class is the same. Objects and segments: their mean overlap (IoU), 0 for one that only
    one answer has. Embeddings: the cosine. Anything else: whether both answers are equal.
    """
    if old.body == new.body:
        return 1.0
    try:
        return of_values(old.json(), new.json())
    except (ValueError, KeyError, TypeError):  # another kind of answer, or an image
        return 0.0


def of_values(old: Any, new: Any) -> float:
    if not isinstance(old, dict) or not isinstance(new, dict) or not old.keys() & new.keys():
        return float(old == new)
    for key, compare in COMPARED.items():
        if key in old and key in new:
            return compare(old[key], new[key])
    return float(old == new)


def of_classes(old: Sequence[Found], new: Sequence[Found]) -> float:
    """Also handles several answers in one, each of its own kind."""
    if not (old and new) or not all("label" in each for each in (*old, *new)):
        pairs = zip(old, new, strict=True)
        return sum(of_values(*pair) for pair in pairs) / max(1, len(old))
    first, second = (
        max(found, key=lambda each: each.get("probability", each.get("score", 0.0))) for found in (old, new)
    )
    return float(first["label"] == second["label"])


def of_tasks(old: Mapping[str, Sequence[Found]], new: Mapping[str, Sequence[Found]]) -> float:
    return sum(of_classes(found, new[task]) if task in new else 0.0 for task, found in old.items()) / max(1, len(old))


def of_objects(old: Sequence[Found], new: Sequence[Found]) -> float:
    """Match objects of the same label, largest overlap first."""
    overlaps = sorted(
        (
            (overlap(a, b), i, j)
            for i, a in enumerate(old)
            for j, b in enumerate(new)
            if a.get("label") == b.get("label")
        ),
        reverse=True,
    )
    left, right, total = set[int](), set[int](), 0.0
    for value, i, j in overlaps:
        if value >= OVERLAP and i not in left and j not in right:
            left.add(i)
            right.add(j)
            total += value
    return 2 * total / (len(old) + len(new)) if old or new else 1.0


def overlap(a: Found, b: Found) -> float:
    """Intersection over union of two masks, boxes (x1, y1, x2, y2), or spans of a recording or a text."""
    if "rle" in a and "rle" in b:
        from pycocotools import mask  # imported here, because few models answer with masks

        if a["rle"]["size"] != b["rle"]["size"]:
            return 0.0
        return float(mask.iou([a["rle"]], [b["rle"]], [0])[0][0])
    if "box" in a and "box" in b:
        sides = [(a["box"][i], a["box"][i + 2], b["box"][i], b["box"][i + 2]) for i in (0, 1)]
    else:
        sides = [(a["start"], a["end"], b["start"], b["end"])]
    common = math.prod(max(0.0, min(a1, b1) - max(a0, b0)) for a0, a1, b0, b1 in sides)
    union = math.prod(a1 - a0 for a0, a1, _, _ in sides) + math.prod(b1 - b0 for _, _, b0, b1 in sides) - common
    return common / union if union > 0 else 0.0


def of_embeddings(old: Sequence[float], new: Sequence[float]) -> float:
    """The cosine similarity, or 0 if it is negative."""
    norms = math.hypot(*old) * math.hypot(*new)
    return (
        max(0.0, min(1.0, sum(a * b for a, b in zip(old, new, strict=True)) / norms))
        if norms
        else float(list(old) == list(new))
    )


def of_actions(old: Any, new: Any) -> float:
    """Numbers: 1 if equal, 0 if their distance is at least their size."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        size = math.hypot(*old) + math.hypot(*new)
        return 1 - math.dist(old, new) / size if size else 1.0
    return float(old == new)


def of_spans(old: Sequence[Found], new: Sequence[Found]) -> float:
    """Compare the texts that are ranked first."""
    return float([each["text"] for each in old[:1]] == [each["text"] for each in new[:1]])


def of_texts(old: str, new: str) -> float:
    return float(old == new)


# The key that identifies the kind of answer → how to compare; docs/requests.md describes the answers.
COMPARED: dict[str, Callable[[Any, Any], float]] = {
    "predictions": of_classes,
    "tasks": of_tasks,
    "detections": of_objects,
    "text": of_texts,
    "segments": of_objects,
    "entities": of_objects,
    "answers": of_spans,
    "embedding": of_embeddings,
    "label": of_texts,
    "action": of_actions,
}
