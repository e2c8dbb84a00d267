"""One sample as a request of each form, with the form that its cost is compared with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import requests

from client.payload import sniff
from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from client.stubs.open_inference_pb2 import ModelInferRequest
from client.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub

JSON, TEXT, OCTETS = "application/json", "text/plain", "application/octet-stream"
RAW, AS_JSON, RPC = "/predictions", "/predictions, JSON", "gRPC Predictions"
V2_JSON, V2_BINARY, V2_RPC = "v2, JSON", "v2, binary", "v2, gRPC"
TOKENS = 8  # of a text that is written
WRITTEN, IN_PIECES = f"/predictions, {TOKENS} tokens", f"/predictions, {TOKENS} tokens in pieces"


@dataclass(frozen=True)
class Form:
    """beside: the name of the form with the same bytes, or the same JSON, on /predictions."""

    name: str
    beside: str
    send: Callable[[], Any]


def forms(model: str, task: str, sample: Path, address: str, predictions: Any, inference: Any, key: str) -> list[Form]:
    """address: of TorchServe's HTTP. predictions, inference: gRPC channels to it and to the protocol's service."""
    session = requests.Session()
    session.trust_env = False
    media_type, data = content_of(sample)
    shape, datatype, raw, plain, elements = tensor(media_type, data)
    name = {"name": "input", "shape": shape, "datatype": datatype}
    outputs = [{"name": "predictions", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [{**name, "parameters": {"binary_data_size": len(raw)}}], "outputs": outputs}).encode()
    infer = f"/v2/models/{model}/infer"

    def over_http(path: str, body: bytes, headers: Mapping[str, str]) -> Callable[[], Any]:
        return lambda: session.post(
            address + path, data=body, headers={"Authorization": key, **headers}, timeout=60
        ).raise_for_status()

    entries = {"body": data, "content-type": media_type.encode()}
    call = PredictionsRequest(model_name=model, input=entries)
    tensor_ = ModelInferRequest.InferInputTensor(name="input", datatype=datatype, shape=shape)
    message = ModelInferRequest(model_name=model, inputs=[tensor_], raw_input_contents=[raw])
    keys = [("authorization", key)]
    plain_rpc = InferenceAPIsServiceStub(predictions).Predictions
    v2_rpc = GRPCInferenceServiceStub(inference).ModelInfer
    length = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": OCTETS}
    as_json = {"Content-Type": JSON}
    v2 = json.dumps({"inputs": [{**name, "data": elements}]}).encode()
    return [
        Form(RAW, RAW, over_http(f"/predictions/{model}", data, {"Content-Type": media_type})),
        Form(V2_BINARY, RAW, over_http(infer, head + raw, length)),
        Form(AS_JSON, AS_JSON, over_http(f"/predictions/{model}", plain, as_json)),
        Form(V2_JSON, AS_JSON, over_http(infer, v2, as_json)),
        Form(RPC, RPC, lambda: plain_rpc(call, metadata=keys, timeout=60)),
        Form(V2_RPC, RPC, lambda: v2_rpc(message, metadata=keys, timeout=60, wait_for_ready=True)),
        *openai_forms(model, task, data, over_http),
    ]


def openai_forms(
    model: str, task: str, data: bytes, over_http: Callable[[str, bytes, Mapping[str, str]], Callable[[], Any]]
) -> list[Form]:
    """Calls of OpenAI's API as they come to TorchServe, from the edge or from the status.

    Texts are written greedily; a chat has its template in front of the same text.
    """

    def call(body: Mapping[str, Any], path: str = "") -> Callable[[], Any]:
        headers = {"Content-Type": JSON, **({"x-openai": path} if path else {})}
        return over_http(f"/predictions/{model}", json.dumps(body).encode(), headers)

    if task not in ("text-embedding", "text-generation"):
        return []
    text, named = data.decode(), dict[str, Any](model=model)
    if task == "text-embedding":
        return [
            Form(
                f"OpenAI embeddings, {form}",
                AS_JSON,
                call({**named, "input": text, "encoding_format": form}, "embeddings"),
            )
            for form in ("float", "base64")
        ]
    plain = {"text": text, "max_new_tokens": TOKENS, "temperature": 0}
    named |= {"max_tokens": TOKENS, "temperature": 0}
    asked: dict[str, dict[str, Any]] = {
        "completions": {"prompt": text},
        "chat/completions": {"messages": [{"role": "user", "content": text}]},
    }
    made = [Form(WRITTEN, WRITTEN, call(plain)), Form(IN_PIECES, IN_PIECES, call({**plain, "stream": True}))]
    for path, prompt in asked.items():
        made.append(Form(f"OpenAI {path}", WRITTEN, call({**named, **prompt}, path)))
        made.append(Form(f"OpenAI {path}, stream", IN_PIECES, call({**named, **prompt, "stream": True}, path)))
    return made


def content_of(sample: Path) -> tuple[str, bytes]:
    """A sample's media type and bytes; of a text with parameters, the text."""
    data = sample.read_bytes()
    if sample.suffix == ".json":
        text = json.loads(data).get("text")
        return (JSON, data) if text is None else (TEXT, text.encode())
    return TEXT if sample.suffix == ".txt" else sniff(data) or OCTETS, data


def tensor(media_type: str, data: bytes) -> tuple[list[int], str, bytes, bytes, list[Any]]:
    """Shape, datatype and bytes of an input's tensor, its JSON for /predictions, and its elements in JSON."""
    if media_type == JSON:
        values = np.array(json.loads(data)["data"], np.float32)
        return [1, *values.shape], "FP32", values.tobytes(), data, values.ravel().tolist()
    text = data.decode() if media_type == TEXT else base64.b64encode(data).decode()
    return [1], "BYTES", len(data).to_bytes(4, "little") + data, json.dumps({"data": text}).encode(), [text]


def channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
