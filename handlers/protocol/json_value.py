"""One value of a JSON body as an input: the data under a known key or bare, beside parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, RequestError, shown
from handlers.protocol.base64_data import from_base64
from handlers.protocol.payload import InputType, Parameters, Payload

DATA_KEYS = ("body", "data", "image", "audio", "text", "context", "input", "observation", "file", "b64", "image_bytes")
DATA_NAMES = frozenset(DATA_KEYS)
MAX_PARAMETERS = 64
MAX_PARAMETER_LEVELS = 3  # lists and objects in one another
NAMES = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
WANTED = {
    InputType.TEXT: "a string",
    InputType.MEDIA: "a base64 string or a list of numbers",
    InputType.TENSOR: "a list of numbers",
}


def read_all(instances: list[Any], name: str, shared: Mapping[str, Any], input_type: InputType) -> list[Payload]:
    """A payload for each instance; an error says which one it is about."""
    payloads = []
    for index, instance in enumerate(instances):
        try:
            payloads.append(read(instance, shared, input_type))
        except RequestError as error:
            raise error.at(f"{name}[{index}]") from None
    return payloads


def merged(parameters: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with those of a JSON object: its keys, and before them the keys of its `parameters`."""
    nested = fields.get("parameters")
    if nested is not None and not isinstance(nested, dict):
        raise InvalidInput(f"parameters: got {shown(nested)}, wanted an object")
    own = {**(nested or {}), **{k: v for k, v in fields.items() if k != "parameters"}}
    if len(own) > MAX_PARAMETERS:
        raise InvalidInput(f"parameters: got {len(own)}, wanted at most {MAX_PARAMETERS}")
    for name, value in own.items():
        if isinstance(value, (list, dict)) and is_deeper(value, MAX_PARAMETER_LEVELS):
            raise InvalidInput(f"{shown(name)}: nested in more than {MAX_PARAMETER_LEVELS} levels")
    return {**parameters, **own}


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in more than so many levels."""
    if not isinstance(value, (list, dict)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(each, levels - 1) for each in inner)


def read(value: Any, parameters: Mapping[str, Any], input_type: InputType, outer: bool = True) -> Payload:
    """One JSON value: an object with the data under a known key, or the data itself.

    outer: the data of an object may be an object once more, as in {"image": {"b64": …}}.
    """
    if isinstance(value, dict):
        named = DATA_NAMES.intersection(value)
        if len(named) != 1:
            got = ", ".join(str(key)[:40] for key in list(value)[:8]) or "an empty object"
            raise MalformedInput(f"the JSON object needs one of the keys {', '.join(DATA_KEYS)}; got {got}")
        [name] = named
        inner = value[name]
        if isinstance(inner, dict) and not outer:
            raise MalformedInput(f"{name}: an object in an object in an object; wanted {WANTED[input_type]}")
        if len(value) > 1:
            parameters = merged(parameters, {key: each for key, each in value.items() if key != name})
        return read(inner, parameters, input_type, outer=False)
    if isinstance(value, list) and input_type is not InputType.TEXT:
        return Payload(value, "", Parameters(parameters))
    if isinstance(value, str) and input_type is InputType.TEXT:
        return Payload(value, "text/plain", Parameters(parameters))
    if isinstance(value, str) and input_type is InputType.MEDIA:
        return Payload(*from_base64(value), Parameters(parameters))
    raise InvalidInput(f"the data is {NAMES.get(type(value), 'null')}; wanted {WANTED[input_type]}")
