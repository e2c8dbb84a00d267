"""BentoML as its documentation advises for throughput: a batchable API, a worker a core."""

from __future__ import annotations

import os
import subprocess
import sys

import orjson
import psutil

from benchmarks.models import PROJECT
from benchmarks.systems.system import System
from deploy.tuning.rest_load import Target


class BentoML(System):
    name = "BentoML"
    way = "usual"

    def launch(self, port: int) -> psutil.Popen:
        settings = {
            "BENCH_MODEL": self.classifier.name,
            "BENCH_WAY": self.way,
            "BENCH_WORKERS": str(self.workers),
            "BENTOML_DO_NOT_TRACK": "true",
            "BENTOML_HOME": str(self.folder),
        }
        with (self.folder / "log.txt").open("wb") as log:
            return psutil.Popen(
                [
                    *(sys.executable, "-m", "bentoml", "serve", "benchmarks.systems.bentoml_service:Classification"),
                    *("--host", "127.0.0.1", "--port", str(port), "--working-dir", str(PROJECT)),
                ],
                cwd=PROJECT,
                env={**os.environ, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def target(self, port: int) -> Target:
        return Target(port, "/classify", form="images")

    def answer(self, body: bytes) -> tuple[int, float]:
        [[index, probability]] = orjson.loads(body)  # a list, as the form may hold several images
        return index, probability


class FastBentoML(BentoML):
    name = "BentoML, our decoding and ONNX Runtime"
    way = "fast"
