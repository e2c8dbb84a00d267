"""Start-up and memory of a worker are measured beside plain Python, and what a worker needs not load it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.startup.__main__ import measured
from benchmarks.startup.tables import MEMORY, TIMES, memory_row, parts_row, times_row
from benchmarks.worker_parts import PARTS

MIB = 2**20


@pytest.mark.e2e
@pytest.mark.slow
def test_a_worker_is_measured_beside_plain_python(tiny_archive: Callable[[str], Path]) -> None:
    name = "tiny-image"
    costs = measured(tiny_archive(name), rounds=1)
    [(start, plain)] = costs.pairs
    print(times_row(name, costs), parts_row(name, costs), memory_row(name, costs))
    assert 0 < start.spawned < start.seconds
    # A worker is a fork of a process that has imported what the plain program imports itself.
    assert 0.01 < costs.ratios[0] < 3
    assert 0.01 < start.cpu / plain.cpu < 3
    assert 5 * MIB < start.uss <= start.pss < 2 * plain.uss + 500 * MIB
    assert start.two > start.uss
    assert set(costs.libraries) == {"torchvision", "onnxruntime"}
    assert [uss for _, uss in costs.parts] == sorted(uss for _, uss in costs.parts)
    assert len(times_row(name, costs)) == len(TIMES)
    assert len(parts_row(name, costs)) == len(PARTS) + 1
    assert len(memory_row(name, costs)) == len(MEMORY)
