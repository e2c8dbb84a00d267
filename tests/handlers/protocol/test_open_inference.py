"""Tensors of KServe's v2 protocol, as NVIDIA's own client writes them."""

from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from handlers.audio.decoding import decode_audio
from handlers.errors import InvalidInput, MalformedInput
from handlers.policy.observation import observations_in
from handlers.protocol.kserve import wrapped
from handlers.protocol.payload import InputType, Request
from handlers.protocol.response import Response
from handlers.vision.decoding import decode_image
from tests.handlers.protocol.reading import B64, PIXELS, as_json, read
from tests.handlers.protocol.test_broken_tensors import BINARY

NUMBERS = {
    "BOOL": np.array([[True], [False]]),
    **{
        f"INT{bits}": np.array([[-(2 ** (bits - 1))], [2 ** (bits - 1) - 1]], f"i{bits // 8}")
        for bits in (8, 16, 32, 64)
    },
    **{f"UINT{bits}": np.array([[0], [2**bits - 1]], f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    "FP16": np.array([[0.1], [-65504]], np.float16),
    "FP32": np.array([[0.1], [-3e38]], np.float32),
    "FP64": np.array([[0.1], [-1e308]], np.float64),
    "BF16": np.array([[0.1], [-3e38]], ml_dtypes.bfloat16),
}

AS_JSON = {"content-type": "application/json"}


def sent(name: str, values: NDArray[Any], datatype: str, binary: bool = True) -> InferInput:
    made = InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def as_triton(kind: InputType, *tensors: InferInput, outputs: Any = None, **parameters: Any) -> Request:
    body, length = InferenceServerClient.generate_request_body(list(tensors), outputs=outputs, parameters=parameters)
    headers = {"Content-Type": "application/octet-stream"}
    if length is None:
        headers["Content-Type"] = "application/json"
    else:
        headers["Inference-Header-Content-Length"] = str(length)
    return read({"body": bytes(body)}, headers, kind)


def texts(*values: bytes) -> NDArray[Any]:
    return np.array(values, np.object_)


@pytest.mark.parametrize("datatype", NUMBERS)
@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_of_numbers(datatype: str, binary: bool) -> None:
    values = NUMBERS[datatype]
    if not binary and datatype in ("BF16", "FP16"):  # that client does not write them as JSON
        tensor = {"name": "x", "shape": [2, 1], "datatype": datatype, "data": [[0.1], [float(values[1, 0])]]}
        request = as_json({"inputs": [tensor]}, InputType.TENSOR)
    else:
        request = as_triton(InputType.TENSOR, sent("x", values, datatype, binary))
    assert request.dialect == "v2"
    for payload, value in zip(request.payloads, values, strict=True):
        assert isinstance(payload.data, np.ndarray)
        assert payload.data.tolist() == value.astype(np.float32 if datatype == "BF16" else values.dtype).tolist()


def test_bf16_from_json_is_rounded_as_it_is_elsewhere() -> None:
    values = np.random.default_rng(0).normal(0, 100, 40).astype(np.float32)
    tensor = {"name": "x", "shape": [1, 40], "datatype": "BF16", "data": values.tolist()}
    [payload] = read({"body": orjson.dumps({"inputs": [tensor]})}, AS_JSON, InputType.TENSOR).payloads
    assert np.array_equal(payload.data, values.astype(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize("binary", [True, False])
def test_texts_and_files(binary: bool) -> None:
    request = as_triton(InputType.TEXT, sent("x", texts("grüße".encode(), b""), "BYTES", binary), top_k=2)
    assert [(each.data, each.parameters["top_k"]) for each in request.payloads] == [("grüße", 2), ("", 2)]
    file = PIXELS if binary else B64.encode()
    request = as_triton(InputType.MEDIA, sent("x", texts(file).reshape(1, 1), "BYTES", binary))
    assert [each.data for each in request.payloads] == [PIXELS]


def test_further_tensors_are_parameters_of_their_instances() -> None:
    request = as_triton(
        InputType.TEXT,
        sent("question", texts(b"who", b"where"), "BYTES"),
        sent("context", texts(b"a", b"b"), "BYTES"),
        sent("top_k", np.array([[1], [2]], np.int32), "INT32", binary=False),
        sent("labels", texts(b"x", b"y", b"z", b"w").reshape(2, 2), "BYTES"),
    )
    assert [each.data for each in request.payloads] == ["a", "b"]
    assert [dict(each.parameters) for each in request.payloads] == [
        {"question": "who", "top_k": 1, "labels": ["x", "y"]},
        {"question": "where", "top_k": 2, "labels": ["z", "w"]},
    ]
    with pytest.raises(InvalidInput, match='"top_k": has 1 values; wanted one for each of 2 instances'):
        as_triton(
            InputType.TEXT, sent("text", texts(b"a", b"b"), "BYTES"), sent("top_k", np.ones(1, np.int32), "INT32")
        )
    for names in (("context", "context"), ("x", "y"), ("context", "text")):
        with pytest.raises(MalformedInput, match="wanted one tensor, or several of different names"):
            as_triton(InputType.TEXT, *[sent(name, texts(b"a"), "BYTES") for name in names])


@pytest.mark.parametrize("kind", list(InputType))
def test_a_number_for_each_instance(kind: InputType) -> None:
    """A list of one for each, as a recording of one sample or an observation of one number is."""
    request = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [0.5, 1]}]}
    if kind is InputType.TEXT:
        with pytest.raises(InvalidInput, match=r"instance\[0\]: the data is a list; wanted a string"):
            as_json(request, kind)
        return
    first, second = as_json(request, kind).payloads
    assert decode_audio(first, 8_000).tolist() == [0.5]
    assert decode_audio(second, 8_000).tolist() == [1.0]
    with pytest.raises(InvalidInput, match=r"shape \[1\]; wanted \[height, width, 3\]"):
        decode_image(first)
    one = np.ones(1, np.float32)
    assert observations_in(first.data, (1,), -one, one).tolist() == [0.5]
    with pytest.raises(InvalidInput, match=r"shape \[1\]; wanted \[4\]"):
        observations_in(first.data, (4,), -np.ones(4, np.float32), np.ones(4, np.float32))


def test_the_form_of_the_answer_is_the_caller_s() -> None:
    tensor = sent("x", texts(b"a"), "BYTES")
    assert as_triton(InputType.TEXT, tensor).binary  # that client's default
    for binary in (True, False):
        outputs = [InferRequestedOutput("predictions", binary_data=binary)]
        assert as_triton(InputType.TEXT, tensor, outputs=outputs).binary is binary
    as_object = {"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    assert not as_json({"inputs": [as_object], "outputs": []}, InputType.TEXT).binary
    with pytest.raises(InvalidInput, match='the one output of a model is "predictions"'):
        as_triton(InputType.TEXT, tensor, outputs=[InferRequestedOutput("logits")])
    with pytest.raises(InvalidInput, match="binary_data alone"):
        as_triton(InputType.TEXT, tensor, outputs=[InferRequestedOutput("predictions", class_count=3)])


@pytest.mark.parametrize("binary", [True, False])
def test_the_answer_is_read_by_that_client(binary: bool) -> None:
    request = Request([], dialect="v2", id="7", binary=binary)
    made = wrapped(request, [Response('{"a":"ü\\n"}'.encode()), Response(b"{}", classes=["b"])], "m", "1.0")
    length = {"header_length": made.json_length} if binary else {}
    found = InferenceServerClient.parse_response_body(made.body, **length)
    assert [bytes(each) if binary else each.encode() for each in found.as_numpy("predictions")] == [
        '{"a":"ü\\n"}'.encode(),
        b"{}",
    ]
    assert {k: v for k, v in found.get_response().items() if k != "outputs"} == {
        "id": "7",
        "model_name": "m",
        "model_version": "1.0",
    }
    assert made.classes == ["b"]
    if binary:  # where no header says so
        assert made.body.partition(b"\n")[0] + b"\n" == made.body[: made.json_length]


def test_over_grpc_the_length_is_an_entry() -> None:
    head = orjson.dumps({"inputs": [BINARY]})
    row = {"body": head + b"\1\0\0\0a", "inference-header-content-length": str(len(head)).encode()}
    [payload] = read(row, {"body": {"content-type": ""}}, InputType.TEXT).payloads
    assert (payload.data, dict(payload.parameters)) == ("a", {})


def test_an_id_and_parameters_wherever_they_may_stand() -> None:
    tensor = {"name": "x", "shape": [2, 2, 1], "datatype": "FP32", "data": [1, 2, 3, 4]}
    request = as_json({"id": "7", "inputs": [tensor], "parameters": {"deterministic": False}}, InputType.TENSOR)
    assert (request.dialect, request.id) == ("v2", "7")
    assert [each.data.tolist() for each in request.payloads] == [[[1], [2]], [[3], [4]]]  # type: ignore[union-attr]
    assert [dict(each.parameters) for each in request.payloads] == [{"deterministic": False}] * 2
    for wrong in (True, [1], {"a": 1}, "x" * 257):
        with pytest.raises(MalformedInput, match="id: wanted a text"):
            as_json({"id": wrong, "inputs": [tensor]}, InputType.TENSOR)
