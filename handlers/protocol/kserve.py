"""KServe's two prediction dialects: v1 `instances`, v2 `inputs` (Open Inference Protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Request
from handlers.protocol.response import Response, to_json

MAX_DIMENSIONS = 8
MAX_ID = 256  # characters


def v1_instances(instances: Any, max_instances: int) -> list[Any]:
    """The instances of a request, no more than the limit."""
    if not isinstance(instances, list) or not instances:
        raise MalformedInput("instances: wanted a list with at least one instance")
    return within_limit(instances, max_instances)


def within_limit(instances: list[Any], max_instances: int) -> list[Any]:
    if len(instances) > max_instances:
        raise TooLarge(f"{len(instances)} instances in one request; the limit is {max_instances}")
    return instances


def is_v2(inputs: Any) -> bool:
    """Whether `inputs` holds tensors; Hugging Face's requests have texts or values under the same key."""
    if not isinstance(inputs, list):
        return False
    return not inputs or any(isinstance(each, dict) and each.keys() & {"shape", "datatype"} for each in inputs[:2])


def v2_tensor(inputs: list[Any]) -> dict[str, Any]:
    """The request's one tensor."""
    if len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise MalformedInput("inputs: wanted a list with exactly one tensor")
    tensor = inputs[0]
    own = tensor.get("parameters")
    if isinstance(own, dict) and "binary_data_size" in own:
        raise UnsupportedMedia("inputs[0]: binary tensors are not supported; send the elements as JSON, under data")
    return tensor


def v2_instances(tensor: Mapping[str, Any], max_instances: int) -> list[Any]:
    """One tensor whose first dimension counts the instances: [n] strings for BYTES, [n, …] numbers otherwise."""
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n > 0 for n in shape):
        raise MalformedInput("inputs[0].shape: wanted a list of positive whole numbers")
    if len(shape) > MAX_DIMENSIONS:
        raise MalformedInput(f"inputs[0].shape: got {len(shape)} dimensions, wanted at most {MAX_DIMENSIONS}")
    if not isinstance(data, list) or not data:
        raise MalformedInput("inputs[0].data: wanted a list with at least one element")
    if shape[0] > max_instances:
        raise TooLarge(f"{shape[0]} instances in one request; the limit is {max_instances}")
    flat = flatten(data)
    size = 1
    for length in shape[1:]:
        size *= length
    if len(flat) != size * shape[0]:
        # Eight 64-bit numbers: their product has at most 155 digits.
        raise InvalidInput(f"inputs[0]: shape {shape} holds {size * shape[0]} elements, data has {len(flat)}")
    if tensor.get("datatype") == "BYTES":
        if size != 1:
            raise InvalidInput(f"inputs[0].shape: got {shape}, wanted [n] or [n, 1] for BYTES")
        return flat
    return [nest(flat[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def v2_id(value: Any) -> str:
    """A request's id, "" where it has none."""
    if value is None:
        return ""
    if not isinstance(value, (str, int)) or isinstance(value, bool) or len(str(value)) > MAX_ID:
        raise MalformedInput(f"id: wanted a text of at most {MAX_ID} characters")
    return str(value)


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


def wrapped(request: Request, responses: list[Response], model_name: str, model_version: str) -> Response:
    """The responses to a request's instances as one, in the request's dialect."""
    bodies = [response.body for response in responses]
    body = v1_body(bodies) if request.dialect == "v1" else v2_body(bodies, model_name, model_version, request.id)
    return Response(body, classes=[label for response in responses for label in response.classes])


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
