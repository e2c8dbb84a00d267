"""Tensors of KServe's v2 protocol that cannot be read are refused."""

import struct
from typing import Any

import orjson
import pytest

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge
from handlers.protocol.payload import InputType, Request
from tests.handlers.protocol.reading import LIMIT, as_json, read

GOOD = {"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]}


BINARY = {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}


FLOATS = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}


@pytest.mark.parametrize(("body", "error", "message"), [
    ({"inputs": []}, MalformedInput, "at least one tensor"),
    ({"inputs": [{**GOOD, "datatype": "TEXT"}]}, InvalidInput, "datatype: got \"TEXT\", wanted one of BOOL"),
    ({"inputs": [{**GOOD, "datatype": ["BYTES"]}]}, InvalidInput, "datatype: got a list"),
    ({"inputs": [{**GOOD, "shape": [2]}]}, InvalidInput, r"shape \[2\] holds 2 elements, data has 1"),
    ({"inputs": [{**GOOD, "shape": [0]}]}, MalformedInput, "positive whole numbers"),
    ({"inputs": [{**GOOD, "shape": [1] * 9}]}, MalformedInput, "9 dimensions"),
    ({"inputs": [{**GOOD, "shape": [9]}]}, TooLarge, "9 instances"),
    ({"inputs": [{**GOOD, "shape": [1, 2], "data": ["a", "b"]}]}, InvalidInput, r"wanted \[n\] or \[n, 1\]"),
    ({"inputs": [{**GOOD, "data": [1]}]}, InvalidInput, r"data\[0\]: got 1, wanted a string for BYTES"),
    ({"inputs": [{**GOOD, "values": 1}]}, InvalidInput, '"values" is not a key of a tensor'),
    ({"inputs": [{**GOOD, "name": 1}]}, MalformedInput, "name: got 1"),
    ({"inputs": [{**GOOD, "parameters": 1}]}, InvalidInput, "parameters: got 1, wanted an object"),
    ({"inputs": [{**GOOD, "datatype": "FP32", "data": [True]}]}, InvalidInput, "got true, wanted a number for FP32"),
    ({"inputs": [{**GOOD, "datatype": "INT8", "data": [1.0]}]}, InvalidInput, "wanted a whole number for INT8"),
    ({"inputs": [{**GOOD, "datatype": "INT8", "data": [128]}]}, InvalidInput, "got 128, wanted -128 to 127 for INT8"),
    ({"inputs": [{**GOOD, "datatype": "UINT64", "data": [-1]}]}, InvalidInput, "got -1, wanted 0 to"),
    ({"inputs": [{**GOOD, "datatype": "BOOL", "data": [1]}]}, InvalidInput, "wanted true or false for BOOL"),
    ({"inputs": [{**GOOD, "datatype": "FP16", "data": [70000]}]}, InvalidInput, "wanted a finite number"),
    ({"inputs": [{**GOOD, "datatype": "FP32", "data": [1e39]}]}, InvalidInput, "wanted a finite number"),
    ({"inputs": [GOOD, 1]}, MalformedInput, r"inputs\[1\]: got 1, wanted a tensor"),
    ({"inputs": [GOOD], "outputs": {}}, MalformedInput, "outputs: got an object"),
    ({"inputs": [GOOD], "outputs": [1]}, InvalidInput, "the one output"),
    ({"inputs": [GOOD], "outputs": [{"name": "predictions"}] * 2}, InvalidInput, "the one output"),
    ({"inputs": [GOOD], "parameters": {"binary_data_output": 1}}, InvalidInput, "binary_data_output: got 1"),
    ({"inputs": [BINARY]}, MalformedInput, "binary_data_size: got 5; 0 bytes are left"),
    ({"inputs": [{**BINARY, "data": ["a"]}]}, MalformedInput, "has data and binary_data_size"),
])  # fmt: skip
def test_what_cannot_be_answered(body: Any, error: type[RequestError], message: str) -> None:
    with pytest.raises(error, match=message):
        as_json(body, InputType.TEXT)


def behind(tensors: list[Any], data: bytes, kind: InputType = InputType.TEXT, length: str = "") -> Request:
    head = orjson.dumps({"inputs": tensors})
    headers = {"inference-header-content-length": length or str(len(head))}
    return read({"body": head + data}, headers, kind)


@pytest.mark.parametrize(("tensors", "data", "error", "message"), [
    ([BINARY], b"\1\0\0\0", MalformedInput, "4 bytes are left"),
    ([BINARY], b"\1\0\0\0ab", MalformedInput, "1 bytes behind the JSON belong to no tensor"),
    ([BINARY], b"\2\0\0\0a", MalformedInput, "not 1 elements"),
    ([BINARY], b"\0\0\0\0a", MalformedInput, "not 1 elements"),
    ([BINARY], b"\xff\xff\xff\xffa", MalformedInput, "not 1 elements"),
    ([BINARY], b"\1\0\0\0\xff", MalformedInput, "the text\" is not UTF-8"),
    ([{**FLOATS, "parameters": {"binary_data_size": 4}}], bytes(4), InvalidInput, "holds 8 bytes, binary_data_size 4"),
    ([{**FLOATS, "parameters": {"binary_data_size": True}}], bytes(4), MalformedInput, "got true"),
    ([{**FLOATS, "parameters": {"binary_data_size": -1}}], bytes(4), MalformedInput, "got -1"),
    ([FLOATS], struct.pack("<2f", 0, float("nan")), InvalidInput, r"inputs\[0\]\[1\]: wanted a finite number"),
    ([FLOATS], struct.pack("<2f", float("inf"), 0), InvalidInput, r"inputs\[0\]\[0\]: wanted a finite number"),
    ([FLOATS], bytes(8), InvalidInput, "the data is a list; wanted a string"),
    ([{**GOOD, "name": "text"}, {**BINARY, "shape": [1, 501]}], b"\1\0\0\0a", TooLarge, "501 elements; the limit is"),
])  # fmt: skip
def test_bytes_that_are_not_the_tensors(tensors: Any, data: bytes, error: type[RequestError], message: str) -> None:
    with pytest.raises(error, match=message):
        behind(tensors, data)


@pytest.mark.parametrize("length", ["0", "-1", "²", "9999", "1" * 30, "x", "1.0"])
def test_a_length_that_is_none(length: str) -> None:
    with pytest.raises(MalformedInput, match="inference-header-content-length"):
        behind([BINARY], b"\1\0\0\0a", length=length)


def test_a_length_that_is_not_the_json_s() -> None:
    with pytest.raises(MalformedInput, match="not JSON"):
        behind([BINARY], b"\1\0\0\0a", length="7")


def test_limits_hold_for_bytes_as_well() -> None:
    with pytest.raises(TooLarge, match=f"the limit is {LIMIT}"):
        behind([{**FLOATS, "shape": [1, 300], "parameters": {"binary_data_size": 1200}}], bytes(1200))


def test_what_bytes_cannot_be() -> None:
    with pytest.raises(InvalidInput, match="the data is a string; wanted a list of numbers"):
        behind([BINARY], b"\1\0\0\0a", InputType.TENSOR)
    with pytest.raises(MalformedInput, match=r"instance\[0\]: the input is empty"):
        behind([{**BINARY, "parameters": {"binary_data_size": 4}}], bytes(4), InputType.MEDIA)
