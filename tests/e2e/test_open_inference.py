"""KServe's v2 protocol without an edge: every task, by tensors as JSON and as bytes, over HTTP and gRPC."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from client import RestClient
from client.stubs.open_inference_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
)
from client.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from deploy.archive import Archive
from deploy.ports import HOST, Ports
from tests.closeness import assert_close
from tests.inputs import IMAGES, RATE, encoded, noise
from tests.peers.run import run
from tests.tiny_artifacts import TINY

Tensors = list[tuple[str, NDArray[Any], str]]
InputTensor = ModelInferRequest.InferInputTensor


@pytest.fixture(scope="module")
def key(rest: RestClient) -> str:
    return rest._credentials.bearer("inference") or ""


@pytest.fixture(scope="module")
def triton(ports: Ports) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(f"{HOST}:{ports.inference}") as client:
        yield client


@pytest.fixture(scope="module")
def stub(ports: Ports) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"{HOST}:{ports.open_inference}") as channel:
        yield GRPCInferenceServiceStub(channel)


def tensors_of(sample: Path, copies: int = 1) -> Tensors:
    """A sample as the tensors of a request."""
    if sample.suffix != ".json":
        return [("input", np.array([sample.read_bytes()] * copies, np.object_), "BYTES")]
    found: Tensors = []
    for name, value in json.loads(sample.read_text()).items():
        if isinstance(value, list):
            found.append((name, np.array([value] * copies, np.float32), "FP32"))
        elif isinstance(value, str):
            found.append((name, np.array([value.encode()] * copies, np.object_), "BYTES"))
        else:
            datatype = {bool: "BOOL", int: "INT64", float: "FP64"}[type(value)]
            found.append((name, np.array([value] * copies), datatype))
    return found


def ask(triton: InferenceServerClient, key: str, model: str, tensors: Tensors, binary: bool = True) -> list[Any]:
    inputs = []
    for name, values, datatype in tensors:
        inputs.append(InferInput(name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    answer = triton.infer(model, inputs, headers={"Authorization": key})
    return [json.loads(each) for each in answer.as_numpy("predictions")]


@pytest.mark.parametrize("model", TINY)
def test_every_task_in_one_request_twice(
    triton: InferenceServerClient,
    stub: GRPCInferenceServiceStub,
    key: str,
    rest: RestClient,
    tiny_archive: Callable[[str], Path],
    tmp_path: Path,
    model: str,
) -> None:
    sample = Archive.read(tiny_archive(model)).sample(tmp_path)
    wanted = rest.predict(model, sample).json()
    tensors = tensors_of(sample, 2)
    found = ask(triton, key, model, tensors)
    assert_close(found, [wanted, wanted])
    inputs = [InputTensor(name=name, datatype=datatype, shape=values.shape) for name, values, datatype in tensors]
    raw = [values.tobytes() if datatype != "BYTES" else framed(values) for _, values, datatype in tensors]
    request = ModelInferRequest(model_name=model, id="7", inputs=inputs, raw_input_contents=raw)
    answer = stub.ModelInfer(request, metadata=[("authorization", key)], timeout=60)
    assert (answer.model_name, answer.model_version, answer.id) == (model, "1.0", "7")
    assert_close(unframed(answer), [wanted, wanted])


def framed(values: NDArray[Any]) -> bytes:
    return b"".join(len(each).to_bytes(4, "little") + each for each in values)


def unframed(answer: ModelInferResponse) -> list[Any]:
    [data] = answer.raw_output_contents
    found = []
    while data:
        size = int.from_bytes(data[:4], "little")
        found.append(json.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    assert [len(found)] == list(answer.outputs[0].shape)
    return found


def test_files_numbers_and_base64_are_the_same_image(triton: InferenceServerClient, key: str, rest: RestClient) -> None:
    file = encoded(IMAGES[2])
    wanted = rest.predict("tiny-image", file).json()
    pixels = np.asarray(IMAGES[2])[None]
    text = np.array([base64.b64encode(file)], np.object_)
    for tensor, binary in (
        (("x", text, "BYTES"), False),
        (("x", pixels, "UINT8"), True),
        (("x", pixels, "UINT8"), False),
        (("x", pixels.astype(np.int64), "INT64"), True),
        (("x", pixels.astype(np.float16), "FP16"), True),
        (("x", pixels.astype(np.float32), "FP32"), True),
    ):
        assert_close(ask(triton, key, "tiny-image", [tensor], binary), [wanted])


def test_samples_of_a_recording(triton: InferenceServerClient, key: str, rest: RestClient) -> None:
    samples = noise(0.5, 0)
    wanted = rest.predict("tiny-audio", {"data": samples.tolist(), "sample_rate": RATE}).json()
    for datatype, dtype in (("FP32", np.float32), ("FP64", np.float64)):
        for binary in (True, False):
            assert_close(
                ask(triton, key, "tiny-audio", [("x", samples[None].astype(dtype), datatype)], binary), [wanted]
            )
    with pytest.raises(InferenceServerException, match="divide samples of 16 bits by 32768"):
        ask(triton, key, "tiny-audio", [("x", np.full((1, 9), 3000, np.int16), "INT16")])
    with pytest.raises(InferenceServerException, match="one list of numbers, mono"):
        ask(triton, key, "tiny-audio", [("x", np.zeros((1, 9, 2), np.float32), "FP32")])


def test_a_question_for_each_text(triton: InferenceServerClient, key: str, rest: RestClient) -> None:
    questions, contexts = [b"who?", b"where is it?"], [b"Anna lives in Rome.", b"The cup is on the table."]
    found = ask(triton, key, "tiny-answers", [
        ("question", np.array(questions, np.object_), "BYTES"), ("context", np.array(contexts, np.object_), "BYTES")
    ])  # fmt: skip
    for answer, question, context in zip(found, questions, contexts, strict=True):
        alone = rest.predict("tiny-answers", {"context": context.decode(), "question": question.decode()})
        assert_close(answer, alone.json())


def test_tensors_in_fields_of_their_datatype(stub: GRPCInferenceServiceStub, key: str, rest: RestClient) -> None:
    """As a caller without a client library fills in a message."""
    contents = InferTensorContents(fp32_contents=[0.1, 0.2, 0.3, 0.4])
    tensor = InputTensor(name="data", datatype="FP32", shape=[1, 4], contents=contents)
    parameters = {"deterministic": InferParameter(bool_param=True)}
    wanted = rest.predict("tiny-policy", {"data": [0.1, 0.2, 0.3, 0.4]}).json()
    request = ModelInferRequest(model_name="tiny-policy", model_version="1.0", inputs=[tensor], parameters=parameters)
    assert_close(unframed(stub.ModelInfer(request, metadata=[("authorization", key)])), [wanted])
    texts = InputTensor(datatype="BYTES", shape=[1], contents=InferTensorContents(bytes_contents=[b"Ja"]))
    request = ModelInferRequest(model_name="tiny-text", inputs=[texts])
    answer = unframed(stub.ModelInfer(request, metadata=[("authorization", key)]))
    assert_close(answer, [rest.predict("tiny-text", "Ja").json()])


FP32 = InputTensor(name="data", datatype="FP32", shape=[1, 4])


@pytest.mark.parametrize(("request_", "status", "message"), [
    (ModelInferRequest(model_name="tiny-policy", inputs=[FP32]), "INVALID_ARGUMENT", "at least one element"),
    (ModelInferRequest(model_name="tiny-policy"), "INVALID_ARGUMENT", "inputs: wanted a list"),
    (ModelInferRequest(model_name="tiny-policy", inputs=[FP32], raw_input_contents=[b"", b""]),
     "INVALID_ARGUMENT", "got 2, wanted one for each of 1"),
    (ModelInferRequest(model_name="tiny-policy", inputs=[FP32], raw_input_contents=[bytes(12)]),
     "INVALID_ARGUMENT", "holds 16 bytes"),
    (ModelInferRequest(model_name="tiny-policy", inputs=[InputTensor(datatype="FP8", shape=[1, 4])]),
     "INVALID_ARGUMENT", "datatype"),
    (ModelInferRequest(model_name="tiny-policy", model_version="9.0"), "NOT_FOUND", "9.0"),
    (ModelInferRequest(), "INVALID_ARGUMENT", "model_name"),
    (ModelInferRequest(model_name="tiny-policy", inputs=[FP32], raw_input_contents=[bytes(2 << 20)]),
     "OUT_OF_RANGE", "the limit is 1048576"),
])  # fmt: skip
def test_errors_over_grpc(
    stub: GRPCInferenceServiceStub, key: str, request_: ModelInferRequest, status: str, message: str
) -> None:
    with pytest.raises(grpc.RpcError, match=message) as raised:
        stub.ModelInfer(request_, metadata=[("authorization", key)], timeout=30)
    assert raised.value.code().name == status


def test_a_key_is_torchserve_s_to_check(stub: GRPCInferenceServiceStub) -> None:
    request = ModelInferRequest(model_name="tiny-policy", inputs=[FP32], raw_input_contents=[bytes(16)])
    for metadata in ([], [("authorization", "Bearer wrong")]):
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(request, metadata=metadata, timeout=30)
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_metadata_over_both_protocols(ports: Ports, stub: GRPCInferenceServiceStub) -> None:
    with InferenceServerClient(f"{HOST}:{ports.status}") as client:
        for name in TINY:
            found = client.get_model_metadata(name)
            assert client.is_model_ready(name)
            assert found["inputs"], name
            answer = stub.ModelMetadata(ModelMetadataRequest(name=name))
            assert [(each.name, each.datatype, list(each.shape)) for each in answer.inputs] == [
                (each["name"], each["datatype"], each["shape"]) for each in found["inputs"]
            ]
        assert client.is_server_ready()


def test_nvidia_s_client_over_grpc(ports: Ports, key: str) -> None:
    found = run("triton_grpc", f"{HOST}:{ports.open_inference}", key.removeprefix("Bearer "), "")
    assert found["ids"] == ["seven"] * 3
    assert_close(found["answers"][0], found["answers"][1])
