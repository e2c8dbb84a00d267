"""A request of the protocol: the first dimension of its tensors counts the inputs.

One tensor is the data; others, by their names, are parameters, a value for each input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from handlers.errors import InvalidInput, MalformedInput, RequestError, shown
from handlers.protocol import json_value
from handlers.protocol.json_value import DATA_KEYS, NAMES, WANTED, merged
from handlers.protocol.limits import Limits
from handlers.protocol.open_inference.datatypes import BYTES
from handlers.protocol.open_inference.tensor import Tail, Tensor, read, text
from handlers.protocol.payload import InputType, Parameters, Payload, Request

OUTPUT = "predictions"
MAX_ID = 256  # characters
# Beside parameters: what is wanted back.
OWN = {"id", "inputs", "parameters", "outputs"}
BINARY, BINARY_OUTPUTS = "binary_data", "binary_data_output"
LIST_NAME = "instance"
# How MLServer's clients say that elements were encoded (its content types), where that is how they are read here.
CONTENT_TYPE, BASE64 = "content_type", "base64"
CONTENT_TYPES = {InputType.TEXT: ("str",), InputType.MEDIA: (BASE64, "np"), InputType.TENSOR: ("np",)}


def from_object(
    value: Mapping[str, Any],
    behind: bytes,
    parameters: Mapping[str, Any],
    accept: str,
    input_type: InputType,
    limits: Limits,
) -> Request:
    """value: the parsed JSON. behind: the bytes of binary tensors. parameters: that came beside the body."""
    inputs, tail = value.get("inputs"), Tail(behind)
    if not isinstance(inputs, list) or not inputs:
        raise MalformedInput("inputs: wanted a list with at least one tensor")
    shared = merged(parameters, {k: v for k, v in value.items() if k not in OWN or k == "parameters"})
    binary = flag(shared.pop(BINARY_OUTPUTS, None), f"parameters.{BINARY_OUTPUTS}")
    tensors = [read(each, f"inputs[{index}]", tail, limits) for index, each in enumerate(inputs)]
    tail.check_taken()
    data = data_among(tensors)
    others = [tensor for tensor in tensors if tensor is not data]
    for tensor in others:
        if tensor.count != data.count:
            raise InvalidInput(
                f"{shown(tensor.name)}: has {tensor.count} values; wanted one for each of {data.count} instances"
            )
    shared = merged(shared, {"parameters": {k: v for each in tensors for k, v in each.parameters.items()}})
    encoded = shared.get(CONTENT_TYPE)
    if encoded in CONTENT_TYPES[input_type]:
        del shared[CONTENT_TYPE]
    payloads = []
    for index in range(data.count):
        own = {**shared, **{tensor.name: tensor.value(index) for tensor in others}}
        try:
            instance = data.value(index) if encoded == BASE64 and data.datatype == BYTES else data.instance(index)
            payloads.append(payload(instance, own, input_type))
        except RequestError as error:
            raise error.at(f"{LIST_NAME}[{index}]") from None
    binary = wants_binary(value.get("outputs"), binary)
    return Request(payloads, accept, "v2", read_id(value.get("id")), LIST_NAME, binary)


def data_among(tensors: list[Tensor]) -> Tensor:
    """The only tensor, whatever its name, or the one that has a name for data."""
    named = tensors if len(tensors) == 1 else [tensor for tensor in tensors if tensor.name in DATA_KEYS]
    names = [tensor.name for tensor in tensors]
    if len(named) != 1 or len(set(names)) < len(names):
        raise MalformedInput(
            f"inputs: wanted one tensor, or several of different names with one of {', '.join(DATA_KEYS)} among them"
        )
    data = named[0]
    if isinstance(data.elements, list) and data.size != 1:
        raise InvalidInput(f"inputs[0].shape: got {data.shape}, wanted [n] or [n, 1] for BYTES")
    return data


def payload(value: NDArray[Any] | str | bytes, parameters: Mapping[str, Any], input_type: InputType) -> Payload:
    """One instance: text or base64 from JSON, text or a whole file from bytes, or numbers."""
    if isinstance(value, str):
        return json_value.read(value, parameters, input_type)
    if isinstance(value, bytes) and input_type is InputType.TEXT:
        return Payload(text(value, "the text"), "text/plain", Parameters(parameters))
    if isinstance(value, bytes) and not value:
        raise MalformedInput("the input is empty")
    if input_type is InputType.MEDIA or (input_type is InputType.TENSOR and not isinstance(value, bytes)):
        return Payload(value, "", Parameters(parameters))
    got = NAMES[str if isinstance(value, bytes) else list]
    raise InvalidInput(f"the data is {got}; wanted {WANTED[input_type]}")


def wants_binary(outputs: Any, default: bool) -> bool:
    """Whether the answer's tensor is wanted as bytes; InvalidInput for an output that is not there."""
    if outputs is None or outputs == []:
        return default
    if not isinstance(outputs, list):
        raise MalformedInput(f"outputs: got {shown(outputs)}, wanted a list")
    for index, output in enumerate(outputs):
        place = f"outputs[{index}]"
        if not isinstance(output, dict) or output.get("name") != OUTPUT or index:
            raise InvalidInput(f'{place}: the one output of a model is "{OUTPUT}"')
        own = output.get("parameters") or {}
        if not isinstance(own, dict) or output.keys() - {"name", "parameters"} or own.keys() - {BINARY}:
            raise InvalidInput(f"{place}: wanted a name and, among the parameters, {BINARY} alone")
        default = flag(own.get(BINARY, default), f"{place}.parameters.{BINARY}")
    return default


def flag(value: Any, place: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"{place}: got {shown(value)}, wanted true or false")
    return bool(value)


def read_id(value: Any) -> str:
    """A request's id, "" where it has none."""
    if value is None:
        return ""
    if not isinstance(value, (str, int)) or isinstance(value, bool) or len(str(value)) > MAX_ID:
        raise MalformedInput(f"id: wanted a text of at most {MAX_ID} characters")
    return str(value)
