"""The gRPC services of the fake server."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import grpc

from client.stubs import inference_pb2, inference_pb2_grpc, management_pb2, management_pb2_grpc
from tests.client.fake.words import FULL, REFUSED, described, page


def authorise(fake: Any, name: str, context: Any) -> None:
    given = dict(context.invocation_metadata()).get("authorization")
    if given != f"Bearer {fake.keys[name]}":
        context.abort(grpc.StatusCode.PERMISSION_DENIED, REFUSED)


ARCHIVE = "org.pytorch.serve.archive.model"
NO_WORKER = 'Model "x" has no worker to serve inference request.'
STATUS_OF = {
    "not-found": (grpc.StatusCode.INTERNAL, f"Model not found: x\n{ARCHIVE}.ModelNotFoundException"),
    "no-worker": (grpc.StatusCode.INTERNAL, f"{NO_WORKER}\nInternalServerException.()"),
    "died": (grpc.StatusCode.INTERNAL, "Worker died.\norg.pytorch.serve.http.InternalServerException"),
    "failed": (grpc.StatusCode.UNAVAILABLE, "Prediction\nfailed\norg.pytorch.serve.http.InternalServerException"),
    "memory": (grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory\norg.pytorch.serve.http.InternalServerException"),
    "too-large": (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max"),
    "reset": (grpc.StatusCode.CANCELLED, "Received RST_STREAM with error code 8"),
    "forbidden": (grpc.StatusCode.PERMISSION_DENIED, f"Model API disabled\n{ARCHIVE}.ModelException"),
    "unknown": (grpc.StatusCode.UNKNOWN, ""),
}


class Inference(inference_pb2_grpc.InferenceAPIsServiceServicer):
    def __init__(self, fake: Any) -> None:
        self.fake = fake

    def Predictions(self, request: Any, context: Any) -> Any:  # noqa: N802
        authorise(self.fake, "inference", context)
        entries, metadata = dict(request.input), dict(context.invocation_metadata())
        named = {"model": request.model_name, "version": request.model_version}
        self.fake.requests.append({**named, "input": entries, "metadata": metadata})
        context.send_initial_metadata((("x-request-id", f"id-{len(self.fake.requests)}"),))
        if request.model_name == "slow":
            for _ in range(40):
                time.sleep(0.05)
                if not context.is_active():
                    self.fake.left.set()
        if request.model_name == "counted":
            self.fake.count()
        if self.fake.refuses(request.model_name):
            context.set_trailing_metadata((("retry-after", self.fake.retry_after),))
            context.abort(grpc.StatusCode.UNAVAILABLE, json.dumps(FULL, separators=(",", ":")))
        if request.model_name in STATUS_OF:
            context.abort(*STATUS_OF[request.model_name])
        if request.model_name.startswith("error-"):
            code = int(request.model_name.removeprefix("error-"))
            body = json.dumps({"code": code, "type": "Kind", "message": "what and why"}).encode()
        elif request.model_name == "png":
            body = b"\x89PNG\r\n\x1a\n...."
        else:
            body = json.dumps({"body": base64.b64encode(entries["body"]).decode()}).encode()
        return inference_pb2.PredictionResponse(prediction=body)

    def StreamPredictions(self, request: Any, context: Any) -> Any:  # noqa: N802
        authorise(self.fake, "inference", context)
        self.fake.requests.append({"model": request.model_name, "input": dict(request.input)})
        for number in range(3):
            if request.model_name == "breaks" and number == 2:
                context.abort(*STATUS_OF["died"])
            yield inference_pb2.PredictionResponse(prediction=f"part {number}".encode())


class Managing(management_pb2_grpc.ManagementAPIsServiceServicer):
    def __init__(self, fake: Any) -> None:
        self.fake = fake

    def answer(self, text: str, request: Any, context: Any) -> Any:
        authorise(self.fake, "management", context)
        self.fake.requests.append({"request": request})
        return management_pb2.ManagementResponse(msg=text)

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer(page(self.fake.models, request.limit, request.next_page_token), request, context)

    def DescribeModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        text = described(request.model_name, request.model_version, request.customized)
        return self.answer(text, request, context)

    def RegisterModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("POST done", request, context)

    def ScaleWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("PUT done", request, context)

    def SetDefault(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("PUT done", request, context)

    def UnregisterModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("DELETE done", request, context)
