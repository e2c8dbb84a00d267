"""A graph on as many cores as nobody else uses.

Under load a worker a core, of one thread each, answers most; but then a lone request leaves all cores but one idle. On
two cores ResNet-50 takes 40 ms instead of 77, MobileNetV2 5.5 instead of 7.8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from torch import Tensor

from handlers.onnx_graph import OnnxGraph

# Waking threads takes a tenth of a millisecond.
WORTH = 0.002  # seconds
ROUNDS = 3
# For one input more of them only wait for each other.
MOST_CORES = 8
# The second form holds the weights once more.
MOST_BYTES = 512 << 20


class Spread:
    """Runs `narrow`, or `wide` for `least` numbers or more while `alone` says that no other worker computes."""

    def __init__(self, narrow: OnnxGraph, wide: OnnxGraph, least: float, alone: Callable[[], bool]) -> None:
        self.narrow, self.wide, self.least, self.alone = narrow, wide, least, alone

    def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return self.wide(inputs) if inputs.numel() >= self.least and self.alone() else self.narrow(inputs)


def spread(path: Path, threads: int, cores: int, alone: Callable[[], bool], example: Tensor) -> OnnxGraph | Spread:
    """The graph of `threads`, which runs on `cores` while `alone`, for inputs whose answer that makes faster.

    example: an input of batch size 1, worth it or none is. Others are taken to need more or less time by their size.
    """
    narrow = OnnxGraph(path, threads)
    cores = min(cores, MOST_CORES)
    if not 0 < threads < cores or path.stat().st_size > MOST_BYTES or (time := least_time(narrow, example)) < WORTH:
        return narrow
    wide = OnnxGraph(path, cores)
    wide(example)
    return Spread(narrow, wide, example.numel() * WORTH / time, alone)


def least_time(graph: OnnxGraph, example: Tensor) -> float:
    """Seconds; what else the machine does meanwhile only adds to the others."""
    times = []
    for _ in range(ROUNDS):
        started = perf_counter()
        graph(example)
        times.append(perf_counter() - started)
    return min(times)
