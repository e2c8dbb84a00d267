"""One tensor of a request: its shape and its elements, by the first dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.errors import InvalidInput, MalformedInput, TooLarge, shown
from handlers.protocol.limits import Limits
from handlers.protocol.open_inference import datatypes
from handlers.protocol.open_inference.datatypes import BYTES, DATATYPES, NUMPY

MAX_DIMENSIONS = 8
KEYS = {"name", "shape", "datatype", "parameters", "data"}
SIZE = "binary_data_size"


class Tail:
    """The bytes of the tensors behind the JSON, taken in the order of the tensors."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)

    def take(self, size: Any, place: str) -> memoryview:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(self.data):
            raise MalformedInput(
                f"{place}.parameters.{SIZE}: got {shown(size)}; {len(self.data)} bytes are left behind the JSON"
            )
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def check_taken(self) -> None:
        if len(self.data):
            raise MalformedInput(f"{len(self.data)} bytes behind the JSON belong to no tensor")


@dataclass(frozen=True)
class Tensor:
    """elements: numbers of the tensor's shape, or BYTES in one list, as strings from JSON and as bytes otherwise.

    parameters: its own, without those of the protocol.
    """

    name: str
    shape: list[int]
    datatype: str
    elements: NDArray[Any] | list[Any]
    parameters: dict[str, Any]

    @property
    def count(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Elements of one instance."""
        return math.prod(self.shape[1:])

    def instance(self, index: int) -> Any:
        """An array of numbers, of at least one dimension, or a list of BYTES; of those that are alone the one."""
        if not isinstance(self.elements, list):
            return np.atleast_1d(self.elements[index])
        part = self.elements[index * self.size : (index + 1) * self.size]
        return part[0] if self.size == 1 else part

    def value(self, index: int) -> Any:
        """The same as a parameter has it in JSON."""
        found = self.instance(index)
        if isinstance(found, (bytes, str)):
            return text(found, self.name)
        if isinstance(found, list):
            return [text(each, self.name) for each in found]
        values = found.ravel().tolist()
        return values[0] if self.size == 1 else values


def text(value: bytes | str, what: str) -> str:
    """BYTES as text; MalformedInput where it is not UTF-8."""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MalformedInput(f"{shown(what)} is not UTF-8: byte {error.start} is {value[error.start]:#04x}") from None


def read(value: Any, place: str, tail: Tail, limits: Limits) -> Tensor:
    """A tensor of `inputs`. place: where it stands. tail: from which its bytes are taken, where it has no `data`.

    Raises MalformedInput, InvalidInput or TooLarge.
    """
    if not isinstance(value, dict):
        raise MalformedInput(f"{place}: got {shown(value)}, wanted a tensor")
    unknown = [key for key in value if key not in KEYS]
    if unknown:
        raise InvalidInput(f"{place}: {shown(unknown[0])} is not a key of a tensor")
    name, datatype = value.get("name", ""), value.get("datatype")
    if not isinstance(name, str):
        raise MalformedInput(f"{place}.name: got {shown(name)}, wanted a string")
    shape = read_shape(value.get("shape"), place, limits)
    if datatype not in DATATYPES:
        raise InvalidInput(f"{place}.datatype: got {shown(datatype)}, wanted one of {', '.join(DATATYPES)}")
    parameters = value.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidInput(f"{place}.parameters: got {shown(parameters)}, wanted an object")
    own = dict(parameters or {})
    if SIZE in own:
        if "data" in value:
            raise MalformedInput(f"{place}: has data and {SIZE}; send one")
        elements = from_bytes(tail.take(own.pop(SIZE), place), shape, datatype, place, limits)
    else:
        elements = from_json(value.get("data"), shape, datatype, place)
    return Tensor(name, shape, datatype, elements, own)


def read_shape(shape: Any, place: str, limits: Limits) -> list[int]:
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n > 0 for n in shape):
        raise MalformedInput(f"{place}.shape: wanted a list of positive whole numbers")
    if len(shape) > MAX_DIMENSIONS:
        raise MalformedInput(f"{place}.shape: got {len(shape)} dimensions, wanted at most {MAX_DIMENSIONS}")
    if shape[0] > limits.max_instances:
        raise TooLarge(f"{shape[0]} instances in one request; the limit is {limits.max_instances}")
    return shape


def from_json(data: Any, shape: list[int], datatype: str, place: str) -> NDArray[Any] | list[Any]:
    if not isinstance(data, list) or not data:
        raise MalformedInput(f"{place}.data: wanted a list with at least one element")
    flat = flatten(data) if list in set(map(type, data)) else data
    check_count(len(flat), shape, f"{place}: shape {shape}", "data has")
    datatypes.check_types(flat, datatype, f"{place}.data")
    if datatype == BYTES:
        return flat
    return datatypes.numbers_from_json(flat, datatype, f"{place}.data").reshape(shape)


def from_bytes(
    data: memoryview, shape: list[int], datatype: str, place: str, limits: Limits
) -> NDArray[Any] | list[Any]:
    count = math.prod(shape)
    if datatype == BYTES:
        if count > limits.max_values:
            raise TooLarge(f"{place}: has {count} elements; the limit is {limits.max_values}")
        return datatypes.texts_from_bytes(data, count, place)
    check_count(len(data), [*shape, np.dtype(NUMPY[datatype]).itemsize], f"{place}: shape {shape}", SIZE)
    return datatypes.numbers_from_bytes(data, datatype, place).reshape(shape)


def check_count(found: int, shape: list[int], what: str, where: str) -> None:
    # Of nine 64-bit numbers the product has at most 174 digits.
    if found != math.prod(shape):
        raise InvalidInput(
            f"{what} holds {math.prod(shape)} {'bytes' if where == SIZE else 'elements'}, {where} {found}"
        )


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
