"""`python -m benchmarks.systems.litserve_server PORT MODEL WORKERS WAY`: the process that LitServe runs in."""

import sys
from collections.abc import Sequence
from typing import Any

import litserve
import torch
from fastapi import UploadFile

from benchmarks.classify import WAYS
from benchmarks.models import Classifier


class API(litserve.LitAPI):
    def __init__(self, model: str, way: str) -> None:
        super().__init__(max_batch_size=4, batch_timeout=0.002)
        self.model_name, self.way = model, way

    def setup(self, device: str) -> None:
        torch.set_num_threads(1)
        self.classify = WAYS[self.way](Classifier(self.model_name))

    def decode_request(self, request: UploadFile) -> Any:
        return self.classify.decode(request.file.read())

    def batch(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return inputs

    def predict(self, x: Sequence[Any]) -> list[tuple[int, float]]:
        return self.classify.best(x)

    def unbatch(self, output: list[tuple[int, float]]) -> list[tuple[int, float]]:
        return output

    def encode_response(self, output: tuple[int, float]) -> dict[str, Any]:
        return {"index": output[0], "probability": output[1]}


if __name__ == "__main__":
    port, model, workers, way = sys.argv[1:]
    server = litserve.LitServer(API(model, way), accelerator="cpu", workers_per_device=int(workers))
    server.run(port=int(port), host="127.0.0.1", generate_client_file=False, log_level="warning")
