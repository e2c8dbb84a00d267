"""The service that BentoML runs; its settings come from the environment, as BentoML imports this file by name."""

import os
from pathlib import Path

import bentoml
import torch

from benchmarks.classify import WAYS
from benchmarks.models import Classifier


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]), traffic={"timeout": 60})
class Classification:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.classify_batch = WAYS[os.environ["BENCH_WAY"]](Classifier(os.environ["BENCH_MODEL"]))

    @bentoml.api(batchable=True, max_batch_size=4, max_latency_ms=60_000)
    def classify(self, images: list[Path]) -> list[tuple[int, float]]:
        return self.classify_batch.best([self.classify_batch.decode(image.read_bytes()) for image in images])
