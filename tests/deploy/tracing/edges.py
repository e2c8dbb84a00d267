"""An edge that sends its spans to a collector, in front of mirrors."""

import json
from pathlib import Path
from typing import Any

import grpc

from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import (
    InferenceAPIsServiceStub,
)
from deploy.edge import certificate, traffic
from deploy.ports import HOST
from deploy.tracing.settings import Tracing
from tests.deploy.envoy.envoy_process import EnvoyProcess

PARENT = "b7ad6b7169203331"
KEY, SECRET = "a" * 32, "secret-of-the-collector"
REST = "/predictions/model"


class Edge(EnvoyProcess):
    """With `split`, its model's calls go to a version."""

    def __init__(self, folder: Path, rest: int, rpc: int, tracing: Tracing | None, split: bool = False) -> None:
        if split:
            (folder / "settings").mkdir()
            (folder / "settings" / traffic.NAME).write_text("models: {model: {versions: {'2.0': 100}}}")
        caller = f"{{key: {KEY}, requests_per_second: 9999, burst: 9999}}"
        super().__init__(folder, rest, rpc, f"clients: {{default: {caller}}}", KEY, tracing)
        credentials = grpc.ssl_channel_credentials((self.settings / certificate.CERTIFICATE).read_bytes())
        self.channel = grpc.secure_channel(f"{HOST}:{self.ports.edge}", credentials)
        self.stub = InferenceAPIsServiceStub(self.channel)

    def rest(self, path: str = REST, **headers: str) -> dict[str, Any]:
        answer = self.session.post(f"{self.address}{path}", data=b"x", headers=headers, timeout=20)
        return {**answer.json()["headers"], "code": answer.status_code}

    def rpc(self, length: int = 1, **metadata: str) -> dict[str, Any]:
        sent = [("authorization", f"Bearer {KEY}"), *metadata.items()]
        request = PredictionsRequest(model_name="model", input={"body": b"x" * length})
        received = json.loads(self.stub.Predictions(request, metadata=sent, timeout=20).prediction)
        return {**received["entries"], "length": received["length"], "version": received["version"]}

    def traceresponse(self, protocol: str, path: str = REST, **headers: str) -> str:
        """The header of an answer; "" where it has none. path: of REST."""
        if protocol == "REST":
            return self.session.post(f"{self.address}{path}", data=b"x", headers=headers, timeout=20).headers.get(
                "traceresponse", ""
            )
        sent = [("authorization", f"Bearer {KEY}"), *headers.items()]
        request = PredictionsRequest(model_name="model", input={"body": b"x"})
        call = self.stub.Predictions.with_call(request, metadata=sent, timeout=20)[1]
        return str(dict(call.initial_metadata()).get("traceresponse", ""))

    def stop(self) -> None:
        self.channel.close()
        super().stop()
