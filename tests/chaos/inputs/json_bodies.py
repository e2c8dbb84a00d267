"""JSON that a careless or hostile caller sends: deep, long, of wrong types, KServe's two forms, or hardly JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from handlers.protocol.json_value import DATA_KEYS

Draw = Callable[[st.SearchStrategy[Any]], Any]
DATATYPES = ("FP32", "FP16", "BF16", "INT64", "UINT8", "BOOL", "BYTES", "bytes", "", None, 7)
DEPTHS = (1, 5, 100, 2000, 100_000)
COUNTS = (0, 1, 3, 300, 20_000)
NUMBERS = (0, -0.0, 1e308, -1e39, 5e-324, 2**63, -(2**64), 10**400, 1.5)
PARAMETERS = (
    *("top_k", "threshold", "score_threshold", "max_detections", "sample_rate", "features", "seed", "stop"),
    *("temperature", "top_p", "max_new_tokens", "deterministic", "render", "embedding", "chat", "stream", "question"),
)
# As they stand: json.dumps would not write them.
TEXTS = (
    *("", " ", "{", "]", "nul", "NaN", "[NaN, Infinity, -Infinity]", '{"data": 1, "data": 2}', '{"data": [1,]}'),
    *('"\\ud800"', '{"data": "\\udfff\\ud800"}', '"\\u0000"', "\ufeff[1]", "[1] [2]", '{"data": 0x10}', "'x'", "1e999"),
    *('{"data": 1e400}', '{"data": -}', '{"text": "\\x"}', "[" + "1" * 5000 + "]", '{"a":' * 500 + "1" + "}" * 500),
)


@cache
def values(leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any JSON, with the keys that mean something here."""
    keys = st.sampled_from((*DATA_KEYS, *PARAMETERS, "instances", "inputs", "shape", "parameters", "id", "x" * 400))
    plain = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers(-10, 300) | st.floats(-2, 2)
    return st.recursive(
        plain | st.text(max_size=8) | st.sampled_from(("x" * 5000, "\u202e🚉", "data:image/png;base64,AAAA", "QUJD")),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=leaves,
    )


@st.composite
def nested(draw: Draw) -> str:
    """One value in lists or objects, ever deeper."""
    depth, inner = draw(st.sampled_from(DEPTHS)), draw(st.sampled_from(("", "1", '"x"', "null")))
    key = draw(st.sampled_from(DATA_KEYS))
    if draw(st.booleans()):
        return f'{{"{key}":' + "[" * depth + inner + "]" * depth + "}"
    return f'{{"{key}":' * depth + (inner or "1") + "}" * depth


@st.composite
def long(draw: Draw) -> str:
    """The same again and again, up to a few hundred kilobytes."""
    one = draw(st.sampled_from(("1", "0.5", "[]", "[[1,2,3]]", '"x"', "null", "{}", "1e308", '"' + "y" * 20 + '"')))
    items = ",".join([one] * draw(st.sampled_from(COUNTS)))
    return draw(st.sampled_from(('{{"data":[{}]}}', "[{}]", '{{"instances":[{}]}}', '{{"text":[{}]}}'))).format(items)


@st.composite
def kserve_v1(draw: Draw, good: Sequence[Any]) -> str:
    """good: values that the model takes as data; some of the instances are, so that work begins before the odd ones."""
    own = st.sampled_from(good)
    instances = draw(st.lists(own | values(4) | own.map(with_parameter), max_size=4)) * draw(
        st.sampled_from((1, 1, 1, 40, 1000))
    )
    body: dict[str, Any] = {"instances": instances}
    if draw(st.booleans()):
        body |= draw(st.dictionaries(st.sampled_from((*PARAMETERS, "parameters", "inputs")), values(3), max_size=2))
    return as_text(body)


def with_parameter(value: Any) -> Any:
    return {"data": value, "top_k": 0}


@st.composite
def kserve_v2(draw: Draw, good: Sequence[Any]) -> str:
    sizes = st.sampled_from((0, 1, 2, 3, 4, 4096, 10**9, 2**63, 10**4299, -1, True, 1.0, "2", None))
    shape = draw(st.lists(sizes, max_size=4) | st.sampled_from(([1], [1, 4], [2, 2], [1] * 500, [1] * 100_000)))
    data = draw(st.lists(st.sampled_from(good) | values(3), max_size=3) | st.just([0.1] * 4) | values(4))
    tensor: dict[str, Any] = {"name": "x", "shape": shape, "datatype": draw(st.sampled_from(DATATYPES)), "data": data}
    for key in draw(st.lists(st.sampled_from(sorted(tensor)), max_size=1)):
        del tensor[key]
    body: dict[str, Any] = {"inputs": [tensor] * draw(st.sampled_from((1, 1, 1, 0, 2, 50)))}
    if draw(st.booleans()):
        body |= draw(st.dictionaries(st.sampled_from(("id", "parameters", "outputs")), values(6), max_size=2))
    return as_text(body)


def as_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def texts(good: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """Bodies of type JSON, well formed or not."""
    drawn = st.one_of(
        values().map(as_text), nested(), long(), kserve_v1(good), kserve_v2(good), st.sampled_from(TEXTS)
    ).map(lambda text: text.encode("utf-8", "surrogatepass"))
    return drawn | st.tuples(drawn, st.binary(max_size=4)).map(b"".join)
