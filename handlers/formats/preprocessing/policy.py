"""The preprocessing of policies: the spaces of observations and actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from sys import float_info
from typing import Any

from handlers.formats.preprocessing.fields import Check, Fault, keys, list_of, number, one_of, optional, wanted, whole

MAX_RANK = 8
MAX_VALUES = 4_000_000  # of one observation: an image of 1000 x 1000 in four channels
MAX_ACTIONS = 1_000_000

finite = number(-float_info.max, float_info.max)
shape = list_of(whole(1, MAX_VALUES), 0, MAX_RANK)


def flat(value: Any) -> Iterator[Any]:
    """The elements of nested lists."""
    todo = [value]
    while todo:
        found = todo.pop()
        if isinstance(found, (list, tuple)):
            todo.extend(reversed(found))
        else:
            yield found


def bounds(value: Any, wanted_shape: Sequence[int], where: str) -> Iterator[Fault]:
    """Faults of the bounds of a space: null, or lists nested as its shape, with null for an element without one."""
    if value is None:
        return
    if not nested(value, wanted_shape):
        yield wanted(f"null, or lists nested as the shape {list(wanted_shape)}", where, value)
        return
    for element in flat(value):
        yield from optional(finite)(where, element)


def nested(value: Any, wanted_shape: Sequence[int]) -> bool:
    if not wanted_shape:
        return not isinstance(value, (list, tuple, dict))
    if not isinstance(value, (list, tuple)) or len(value) != wanted_shape[0]:
        return False
    return all(nested(element, wanted_shape[1:]) for element in value)


def crossed(where: str, low: Any, high: Any) -> Iterator[Fault]:
    """A fault where a lower bound is above the upper one."""
    for lowest, highest in zip(flat(low), flat(high), strict=True):
        if lowest is not None and highest is not None and lowest > highest:
            yield f"{where}.low", f"wanted at most high, {highest:g}; got {lowest:g}"


def anything(where: str, value: Any) -> Iterator[Fault]:
    yield from ()


space = keys({"shape": shape}, {"low": anything, "high": anything})
KINDS = ("discrete", "continuous")
OUTPUTS = ("logits", "values")
ACTIONS: dict[str, Check] = {
    "discrete": keys({"kind": one_of(*KINDS)}, {"count": whole(1, MAX_ACTIONS), "outputs": one_of(*OUTPUTS)}),
    "continuous": keys({"kind": one_of(*KINDS), "low": anything, "high": anything}),
}


def observation(where: str, value: Any) -> Iterator[Fault]:
    faults = list(space(where, value))
    if not faults and prod(value["shape"]) > MAX_VALUES:
        faults.append((f"{where}.shape", f"wanted at most {MAX_VALUES} numbers; got {prod(value['shape'])}"))
    if not faults:
        low, high = value.get("low"), value.get("high")
        faults += bounds(low, value["shape"], f"{where}.low")
        faults += bounds(high, value["shape"], f"{where}.high")
        if not faults and low is not None and high is not None:
            faults += crossed(where, low, high)
    yield from faults


def action(where: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield wanted("an object", where, value)
        return
    if "kind" not in value:
        yield f"{where}.kind", "missing"
        return
    faults = list(one_of(*KINDS)(f"{where}.kind", value["kind"])) or list(ACTIONS[value["kind"]](where, value))
    if not faults and value["kind"] == "continuous":
        size = shape_of(value["low"] if value["low"] is not None else value["high"])
        faults += bounds(value["low"], size, f"{where}.low")
        faults += bounds(value["high"], size, f"{where}.high")
        if not faults and value["low"] is not None and value["high"] is not None:
            faults += crossed(where, value["low"], value["high"])
    yield from faults


def shape_of(value: Any) -> list[int]:
    """The shape of nested lists, by the first element of each."""
    found: list[int] = []
    while isinstance(value, (list, tuple)) and len(found) < MAX_RANK:
        found.append(len(value))
        value = value[0] if value else None
    return found


spaces = keys({"observation": observation, "action": action})


def form(labels: int) -> Check:
    """labels: the number of the artifact's labels, which name discrete actions; 0 for none."""

    def check(where: str, value: Any) -> Iterator[Fault]:
        faults = list(spaces(where, value))
        if not faults and labels and value["action"].get("count", labels) != labels:
            said = f"{labels}, as many as the artifact has labels"
            faults.append(wanted(said, f"{where}.action.count", value["action"]["count"]))
        yield from faults

    return check
