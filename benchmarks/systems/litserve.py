"""LitServe as its documentation advises for throughput: batching, workers, decoding in `decode_request`."""

from __future__ import annotations

import subprocess
import sys

import orjson
import psutil

from benchmarks.systems.system import System
from deploy.tuning.rest_load import Target

SERVER = "benchmarks.systems.litserve_server"


class LitServe(System):
    name = "LitServe"
    way = "usual"

    def launch(self, port: int) -> psutil.Popen:
        with (self.folder / "log.txt").open("wb") as log:
            return psutil.Popen(
                [sys.executable, "-m", SERVER, str(port), self.classifier.name, str(self.workers), self.way],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def target(self, port: int) -> Target:
        return Target(port, "/predict", form="request")

    def answer(self, body: bytes) -> tuple[int, float]:
        found = orjson.loads(body)
        return found["index"], found["probability"]


class FastLitServe(LitServe):
    name = "LitServe, our decoding and ONNX Runtime"
    way = "fast"
