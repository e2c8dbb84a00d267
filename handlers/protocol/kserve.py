"""KServe's two prediction dialects: v1 `instances`, v2 `inputs` (Open Inference Protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from handlers.errors import InvalidInput, MalformedInput
from handlers.protocol.response import to_json


def v1_instances(value: Mapping[str, Any]) -> list[Any]:
    instances = value["instances"]
    if not isinstance(instances, list) or not instances:
        raise MalformedInput("instances: wanted a list with at least one instance")
    return instances


def v2_instances(value: Mapping[str, Any]) -> list[Any]:
    """One tensor whose first dimension counts the instances: [n] strings for BYTES, [n, …] numbers otherwise."""
    inputs = value["inputs"]
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise MalformedInput("inputs: wanted a list with exactly one tensor")
    tensor = inputs[0]
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(shape, list) or not shape or not all(isinstance(n, int) and n > 0 for n in shape):
        raise MalformedInput("inputs[0].shape: wanted a list of positive whole numbers")
    if not isinstance(data, list) or not data:
        raise MalformedInput("inputs[0].data: wanted a list with at least one element")
    flat = flatten(data)
    if len(flat) != prod(shape):
        raise InvalidInput(f"inputs[0]: shape {shape} holds {prod(shape)} elements, data has {len(flat)}")
    if tensor.get("datatype") == "BYTES":
        if prod(shape[1:]) != 1:
            raise InvalidInput(f"inputs[0].shape: got {shape}, wanted [n] or [n, 1] for BYTES")
        return flat
    size = prod(shape[1:])
    return [nest(flat[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def flatten(values: list[Any]) -> list[Any]:
    flat: list[Any] = []
    stack = [iter(values)]
    while stack:
        for value in stack[-1]:
            if isinstance(value, list):
                stack.append(iter(value))
                break
            flat.append(value)
        else:
            stack.pop()
    return flat


def nest(flat: list[Any], shape: list[int]) -> list[Any]:
    for size in reversed(shape[1:]):
        flat = [flat[i : i + size] for i in range(0, len(flat), size)]
    return flat


def v1_body(answers: list[bytes]) -> bytes:
    """`{"predictions": [answer, …]}` from answers that are JSON already."""
    return b'{"predictions":[' + b",".join(answers) + b"]}"


def v2_body(answers: list[bytes], model_name: str, model_version: str, request_id: str) -> bytes:
    """One BYTES output holding each instance's answer as a JSON string."""
    output = {
        "name": "predictions",
        "shape": [len(answers)],
        "datatype": "BYTES",
        "data": [answer.decode() for answer in answers],
    }
    body: dict[str, Any] = {"model_name": model_name, "model_version": model_version, "outputs": [output]}
    if request_id:
        body["id"] = request_id
    return to_json(body)
