"""The search's choice is compared with a full grid; the measurements are a formula here, so the best is known."""

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.grid import LEADERS, compared, full, table
from deploy.tuning.candidate import Candidate
from deploy.tuning.space import Space
from deploy.tuning.trial import Point, Trial


def speed(candidate: Candidate) -> float:
    """One hill, on top of which are two workers of one thread with ONNX Runtime and batches of four."""
    found = 100.0 - 20 * abs(candidate.workers * candidate.threads - 2) - 10 * (candidate.threads - 1)
    found -= 15 * (candidate.backend == "torch") + 3 * abs(candidate.size.bit_length() - 3) + candidate.delay_ms
    return max(found, 1.0)


def bench() -> Any:
    return SimpleNamespace(measure=lambda candidate: Trial(candidate, [Point(8, speed(candidate), 1.0, 2.0, 0)]))


def test_the_full_grid_leaves_out_what_is_absurd() -> None:
    grid = full(2, ["onnxruntime", "torch"])
    assert len(grid) == len(set(grid)) == 2 * 4 * 7
    assert all(candidate.workers * candidate.threads <= 3 for candidate in grid)


def test_a_choice_that_is_the_best_reaches_all_of_it() -> None:
    kinds = ["onnxruntime", "torch"]
    outcome = compared(bench(), full(2, kinds), Space(2, 0, kinds), 2, print)
    assert outcome.choice == outcome.best == Candidate("onnxruntime", 2, 1, 4, 1)
    assert outcome.ratio == 1.0
    assert len(outcome.again) == LEADERS
    assert "reaches 1.00 of the best" in table(outcome)


def test_a_choice_beside_a_better_point_reaches_its_share() -> None:
    kinds = ["onnxruntime"]
    better = Candidate("onnxruntime", 2, 1, 4, 1)
    space = Space(1, 0, kinds)  # where the search never looks at two workers
    outcome = compared(bench(), [*full(1, kinds), better], space, 3, print)
    assert outcome.best == better
    assert outcome.ratio == pytest.approx(speed(outcome.choice) / speed(better))
    assert outcome.ratio < 0.9
