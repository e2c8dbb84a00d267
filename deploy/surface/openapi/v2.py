"""KServe's v2 protocol: docs/kserve.md says what its tensors are."""

from __future__ import annotations

from typing import Any

from deploy.surface.metadata import OUTPUT
from deploy.surface.openapi.errors import KSERVE_ERROR, responses

DATATYPES = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"]
DATATYPES += ["FP16", "FP32", "FP64", "BF16", "BYTES"]
JSON, OCTETS = "application/json", "application/octet-stream"
LENGTH = "Inference-Header-Content-Length"
TEXTS = {"type": "array", "items": {"type": "string"}}


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def entry(required: list[str], properties: dict[str, Any], closed: bool = False) -> dict[str, Any]:
    made = {"type": "object", "required": required, "properties": properties}
    return {**made, "additionalProperties": False} if closed else made


SHAPE = {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "integer", "minimum": 1}}
SCHEMAS: dict[str, Any] = {
    "KServeError": KSERVE_ERROR,
    "InferTensor": entry(
        ["name", "shape", "datatype"],
        {
            "name": {"type": "string"},
            "shape": SHAPE,
            "datatype": {"enum": DATATYPES},
            "parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer", "minimum": 0}}},
            "data": {"type": "array", "minItems": 1},
        },
        closed=True,
    ),
    "InferRequest": entry(
        ["inputs"],
        {
            "id": {"type": "string", "maxLength": 256},
            "inputs": {"type": "array", "minItems": 1, "items": reference("InferTensor")},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
            "outputs": {"type": "array", "items": entry(["name"], {"name": {"const": OUTPUT["name"]}})},
        },
    ),
    "InferResponse": entry(
        ["model_name", "model_version", "outputs"],
        {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": reference("InferTensor")},
        },
    ),
    "ModelMetadata": entry(
        ["name", "versions", "platform", "inputs", "outputs"],
        {
            "name": {"type": "string"},
            "versions": TEXTS,
            "platform": {"type": "string"},
            **{key: {"type": "array", "items": reference("TensorMetadata")} for key in ("inputs", "outputs")},
        },
    ),
    "TensorMetadata": entry(
        ["name", "datatype", "shape"],
        {
            "name": {"type": "string"},
            "datatype": {"enum": DATATYPES},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
        },
    ),
    "ServerMetadata": entry(
        ["name", "version", "extensions"],
        {"name": {"type": "string"}, "version": {"type": "string"}, "extensions": TEXTS},
    ),
    "Ready": entry(["ready"], {"name": {"type": "string"}, "ready": {"type": "boolean"}}),
    "Live": entry(["live"], {"live": {"type": "boolean"}}),
    "Models": entry(["models"], {"models": TEXTS}),
}


def paths(name: str, identifier: str) -> dict[str, Any]:
    """A model's."""
    answers = {JSON: {"schema": reference("InferResponse")}, OCTETS: {}}
    header = {"description": "Bytes of the JSON before binary tensors.", "schema": {"type": "integer"}}
    infer = {
        "operationId": f"infer_{identifier}",
        "tags": [name],
        "summary": f"Ask {name} by KServe's v2 protocol",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": reference("InferRequest")}},
        },
        "responses": {
            "200": {"description": "Each input's answer.", "headers": {LENGTH: header}, "content": answers},
            **responses("KServeError"),
        },
    }
    about = said(f"metadata_{identifier}", f"What {name} takes", "ModelMetadata", name)
    ready = said(f"ready_{identifier}", f"Whether {name} answers", "Ready", name, unready=True)
    base = f"/v2/models/{name}"
    return {f"{base}/infer": {"post": infer}, base: {"get": about}, f"{base}/ready": {"get": ready}}


def of_server() -> dict[str, Any]:
    """The server's own description and readiness."""
    calls = {
        "/v2": said("server", "The server", "ServerMetadata"),
        "/v2/models": said("models", "Names of all models", "Models"),
        "/v2/health/live": {**said("live", "Whether the server is there", "Live"), "security": []},
        "/v2/health/ready": {
            **said("server_ready", "Whether all models answer", "Ready", unready=True),
            "security": [],
        },
    }
    return {path: {"get": call} for path, call in calls.items()}


def said(identifier: str, summary: str, schema: str, tag: str = "server", unready: bool = False) -> dict[str, Any]:
    """unready: 503 has the same form as 200."""
    content = {JSON: {"schema": reference(schema)}}
    other = {JSON: {"schema": {"anyOf": [reference(schema), reference("KServeError")]}}}
    found = {"200": {"description": "Yes, or what was asked for.", "content": content}, **responses("KServeError")}
    if unready:
        found["503"] = {"description": "Not now.", "content": other}
    return {"operationId": identifier, "tags": [tag], "summary": summary, "responses": found}
