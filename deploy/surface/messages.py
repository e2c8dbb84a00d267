"""A gRPC request of the v2 protocol as the body of its HTTP form, and an answer's body as a gRPC response.

A handler knows the HTTP form with binary tensors alone; raw tensors go through as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from struct import pack
from typing import Any

from client.stubs.open_inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse

SIZE = "binary_data_size"
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


def to_body(request: ModelInferRequest) -> tuple[bytes, int]:
    """The body and the length of its JSON. Raises ValueError where raw tensors are not as many as inputs."""
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise ValueError(f"raw_input_contents: got {len(raw)}, wanted one for each of {len(request.inputs)} inputs")
    if raw and any(tensor.HasField("contents") for tensor in request.inputs):
        raise ValueError("inputs have contents beside raw_input_contents; send one")
    inputs, behind = [], []
    for index, tensor in enumerate(request.inputs):
        made: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
        parameters = values(tensor.parameters)
        if raw or tensor.datatype == "BYTES":
            data = raw[index] if raw else joined(tensor.contents)
            parameters[SIZE] = len(data)
            behind.append(data)
        else:
            field = CONTENTS.get(tensor.datatype)  # another datatype has none, and the handler says so
            made["data"] = list(getattr(tensor.contents, field)) if field else []
        inputs.append({**made, "parameters": parameters})
    value: dict[str, Any] = {"inputs": inputs, "parameters": {**values(request.parameters), "binary_data_output": True}}
    if request.id:
        value["id"] = request.id
    outputs = [{"name": output.name, "parameters": values(output.parameters)} for output in request.outputs]
    head = json.dumps({**value, "outputs": outputs}).encode()
    return b"".join((head, *behind)), len(head)


def joined(contents: InferTensorContents) -> bytes:
    return b"".join(part for each in contents.bytes_contents for part in (pack("<I", len(each)), each))


def values(parameters: Mapping[str, InferParameter]) -> dict[str, Any]:
    found = {name: (each, each.WhichOneof("parameter_choice")) for name, each in parameters.items()}
    return {name: getattr(each, kind) for name, (each, kind) in found.items() if kind}


def to_response(body: bytes) -> ModelInferResponse:
    """body: JSON, a line break, and the tensors."""
    head, _, behind = body.partition(b"\n")
    value = json.loads(head)
    outputs, raw = [], []
    for output in value["outputs"]:
        size = output["parameters"][SIZE]
        raw.append(behind[:size])
        behind = behind[size:]
        outputs.append(
            ModelInferResponse.InferOutputTensor(
                name=output["name"], datatype=output["datatype"], shape=output["shape"]
            )
        )
    return ModelInferResponse(
        model_name=value["model_name"],
        model_version=value["model_version"],
        id=value.get("id", ""),
        outputs=outputs,
        raw_output_contents=raw,
    )
