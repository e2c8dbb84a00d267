"""A response of the protocol: one BYTES output that holds each instance's answer as JSON."""

from __future__ import annotations

from typing import Any

from handlers.protocol.open_inference.datatypes import BYTES, texts_to_bytes
from handlers.protocol.open_inference.request import OUTPUT
from handlers.protocol.open_inference.tensor import SIZE
from handlers.protocol.payload import Request
from handlers.protocol.response import JSON, OCTETS, Response, to_json

# Ends the JSON before binary tensors, in which it cannot stand: over gRPC no header says how long that is.
END = b"\n"


def response(answers: list[bytes], request: Request, model_name: str, model_version: str) -> Response:
    """answers: JSON already."""
    output: dict[str, Any] = {"name": OUTPUT, "shape": [len(answers)], "datatype": BYTES}
    behind = texts_to_bytes(answers) if request.binary else b""
    output |= {"parameters": {SIZE: len(behind)}} if request.binary else {"data": [each.decode() for each in answers]}
    body: dict[str, Any] = {"model_name": model_name, "model_version": model_version}
    if request.id:
        body["id"] = request.id
    head = to_json({**body, "outputs": [output]})
    if not request.binary:
        return Response(head, JSON)
    return Response(head + END + behind, OCTETS, json_length=len(head) + len(END))
