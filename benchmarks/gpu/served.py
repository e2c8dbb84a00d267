"""A model served on a GPU, at several settings, over REST and gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks import grpc_load
from benchmarks.comparison import CONSTANT, TOLERANCE, Measurement
from benchmarks.gpu.busy import Busy
from benchmarks.gpu.setting import Setting
from benchmarks.images import expected, images
from benchmarks.models import Classifier
from deploy.tuning.bench import WARM_UP, Bench
from deploy.tuning.rest_load import Target
from deploy.tuning.sample import Sample


@dataclass(frozen=True)
class Served:
    """busy: share of the time in which the GPU ran anything. memory: bytes of the GPU's, at most."""

    measurement: Measurement
    busy: float
    memory: float


@dataclass(frozen=True)
class Serving:
    """levels: requests at once, each measured for `seconds` over both protocols. constant: images a second that are
    asked for at a constant rate, 0 for no such measurement. gpus: 0 where the workers run on the CPU. logs: a folder
    for the server's."""

    classifier: Classifier
    archive: Path
    levels: Sequence[int]
    seconds: float
    constant: float
    gpus: int = 1
    logs: Path | None = None

    def run(self, settings: Sequence[Setting], folder: Path, late: Callable[[], bool]) -> Iterator[Served | str]:
        """Measurements of each setting, or the reason there are none. late: asked before each."""
        inputs = []
        for number, data in enumerate(images()):
            inputs.append(folder / f"{number}.jpg")
            inputs[-1].write_bytes(data)
        with Bench(self.archive, list(self.levels), self.seconds, self.gpus, inputs, self.logs) as bench:
            for setting in settings:
                if late():
                    yield f"{setting}: not measured, the time was over"
                    continue
                try:
                    with bench.serving(setting):
                        yield from self.measure(bench, setting)
                except Exception as error:  # noqa: BLE001 - the other settings are measured whatever one does
                    yield f"{setting}: broken off: {type(error).__name__}: {error}"

    def measure(self, bench: Bench, setting: Setting) -> Iterator[Served]:
        address = bench.server.server.grpc
        for level in self.levels:
            with Busy(after=WARM_UP) as busy:
                sample = bench.load(level, self.seconds)
            yield self.served(f"REST, {setting}", level, sample, busy)
        calls = partial(grpc_load.closed_loop, address, bench.name, bench.bodies, seconds=self.seconds, warm_up=WARM_UP)
        for level in self.levels:
            with Busy(after=WARM_UP) as busy:
                sample = bench.processes.together(calls, level)
            yield self.served(f"gRPC, {setting}", level, sample, busy)
        if not self.constant:
            return
        target = Target(bench.ports.inference, f"/predictions/{bench.name}")
        with Busy(after=WARM_UP) as busy:
            sample = bench.processes.open_loop(target, bench.bodies, self.constant, self.seconds + WARM_UP)
        yield self.served(f"REST, {setting}", CONSTANT, sample, busy)

    def served(self, name: str, level: int, sample: Sample, busy: Busy) -> Served:
        truth = expected(self.classifier)

        def right(index: int, body: bytes) -> bool:
            best: Any = orjson.loads(body)["predictions"][0]
            label, probability = truth[index]
            return best["index"] == label and abs(best["probability"] - probability) <= TOLERANCE

        p50, p95, p99, p999 = (sample.percentile(percent) for percent in (50, 95, 99, 99.9))
        measurement = Measurement(
            self.classifier.name,
            name,
            level,
            0,
            sample.throughput,
            p50,
            p95,
            p99,
            p999,
            sample.errors,
            sample.wrong(right),
        )
        return Served(measurement, busy.share, busy.memory)
