"""Runs a graph on all cores while no other worker computes, and on a worker's own thread otherwise.

Under load, one worker per core with one thread each has the highest throughput; a lone request would then leave all
cores but one idle. On two cores ResNet-50 takes 40 ms instead of 77, MobileNetV2 5.5 ms instead of 7.8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from torch import Tensor

from handlers.acceleration.onnx_runtime import OnnxGraph
from handlers.formats.onnx import external_files

# Waking threads takes a tenth of a millisecond.
MIN_SECONDS = 0.002
ROUNDS = 3
# For a single input, more threads only wait for each other.
MAX_CORES = 8
# The second session holds the weights again.
MAX_BYTES = 512 << 20


class AdaptiveThreads:
    """Runs `multi` for inputs of at least `min_elements` numbers while `others_idle()`, and `single` otherwise."""

    def __init__(
        self, single: OnnxGraph, multi: OnnxGraph, min_elements: float, others_idle: Callable[[], bool]
    ) -> None:
        self.single, self.multi = single, multi
        self.min_elements, self.others_idle = min_elements, others_idle

    def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs.numel() >= self.min_elements and self.others_idle():
            return self.multi(inputs)
        return self.single(inputs)


def with_adaptive_threads(
    path: Path, threads: int, cores: int, others_idle: Callable[[], bool], example: Tensor
) -> OnnxGraph | AdaptiveThreads:
    """The graph on `threads` threads, and on `cores` while `others_idle()` for inputs large enough to gain from it.

    example: an input of batch size 1; the time it takes decides from which size on more threads are worth waking.
    UnsafeFile for a graph that names files outside of its folder.
    """
    size = path.stat().st_size + sum((path.parent / name).stat().st_size for name in external_files(path))
    single = OnnxGraph(path, threads)
    cores = min(cores, MAX_CORES)
    if not 0 < threads < cores or size > MAX_BYTES:
        return single
    seconds = min_time(single, example)
    if seconds < MIN_SECONDS:
        return single
    multi = OnnxGraph(path, cores)
    multi(example)
    return AdaptiveThreads(single, multi, example.numel() * MIN_SECONDS / seconds, others_idle)


def min_time(graph: OnnxGraph, example: Tensor) -> float:
    """Seconds of the fastest of a few runs: whatever else the machine does can only slow the others down."""
    times = []
    for _ in range(ROUNDS):
        started = perf_counter()
        graph(example)
        times.append(perf_counter() - started)
    return min(times)
