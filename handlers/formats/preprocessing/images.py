"""The preprocessing of tasks on images: resize, crop and normalisation, and what each task adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handlers.formats.configuration import MAX_SIDE
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
    text,
    under,
    wanted,
    whole,
)

INTERPOLATIONS = ("nearest", "nearest-exact", "bilinear", "bicubic")
ACTIVATIONS = ("softmax", "sigmoid", "none")
MAX_MEMBERS, MAX_TASKS, MAX_LABELS = 64, 1000, 1_000_000
# Of levels in [0, 1] or [0, 255]; a smaller deviation would overflow when levels are divided by it.
LARGEST, SMALLEST_STD = 1e4, 1e-6

side = whole(1, MAX_SIDE)
size = list_of(side, 2, 2)
COLOURS: dict[str, Check] = {
    "mean": list_of(number(-LARGEST, LARGEST), 3, 3),
    "std": list_of(number(SMALLEST_STD, LARGEST), 3, 3),
}


def resize(where: str, value: Any) -> Iterator[Fault]:
    """[height, width], or the length of the shorter side."""
    if isinstance(value, (list, tuple)):
        yield from size(where, value)
    elif type(value) is not int or not 1 <= value <= MAX_SIDE:
        yield wanted(f"a whole number from 1 to {MAX_SIDE}, or [height, width]", where, value)


RESIZE: dict[str, Check] = {"resize": resize}
TRANSFORM: dict[str, Check] = {
    "crop": optional(size),
    "interpolation": one_of(*INTERPOLATIONS),
    "floor": flag,
    **COLOURS,
}
transform = keys(RESIZE, TRANSFORM)


def member(where: str, value: Any) -> Iterator[Fault]:
    """A transform of one output size, as the members of an ensemble have it."""
    faults = list(transform(where, value))
    if not faults and isinstance(value["resize"], int) and value.get("crop") is None:
        faults.append(wanted("[height, width], since a resize of the shorter side gives any", f"{where}.crop", None))
    yield from faults


labels = list_of(name, 1, MAX_LABELS)


def tasks(where: str, value: Any) -> Iterator[Fault]:
    """The labels of each task of a model with several, by its name."""
    if not isinstance(value, dict) or len(value) > MAX_TASKS:
        yield wanted("an object of lists of labels", where, value)
        return
    for task, names in value.items():
        yield from labels(under(where, task), names)


CLASSIFIER: dict[str, Check] = {
    "tasks": tasks,
    "embedding": optional(name),
    "multi_label": flag,
    "activation": optional(one_of(*ACTIVATIONS)),
}


def classifier(own_transform: bool, ensemble: bool) -> Check:
    """own_transform: false for a Hugging Face folder, which has an image processor."""
    if ensemble:
        return keys({"members": list_of(member, 1, MAX_MEMBERS)}, CLASSIFIER)
    return keys(RESIZE, TRANSFORM | CLASSIFIER) if own_transform else keys({}, CLASSIFIER)


def segmenter(own_transform: bool, classes: int) -> Check:
    background: dict[str, Check] = {"background": optional(whole(0, max(0, classes - 1)))}
    return keys(RESIZE, TRANSFORM | background) if own_transform else keys({}, background)


embedding = keys(RESIZE, TRANSFORM | {"embedding": optional(text)})
depth = keys(
    {
        "size": optional(size),
        "kind": one_of("metric", "relative"),
        "nearer": one_of("lower", "higher"),
    },
    {"keep_aspect_ratio": flag, "multiple": side, "interpolation": one_of(*INTERPOLATIONS), **COLOURS},
)
