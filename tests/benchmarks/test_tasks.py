"""The comparison of a served task with its handler in process runs, and counts on both sides."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from benchmarks.tasks import HEAD, compared, several


@pytest.mark.e2e
def test_a_task_is_compared_with_its_own_handler(tiny_archive: Callable[[str], Path]) -> None:
    """With sixteen inputs in each request, which count each, on both sides."""
    rows = compared(tiny_archive("tiny-text"), "1,4", rounds=1, seconds=0.5, items=16)
    assert [row[2] for row in rows] == ["1", "4"]
    for bare, limit, level, served, ratio, p50, p99, errors in rows:
        assert errors == "0"
        assert float(bare) > float(limit) > float(served) > 1
        assert float(ratio) == pytest.approx(float(served) / float(limit), abs=0.01)
        assert float(p99) >= float(p50) > 0
        # So many requests of sixteen inputs at a time, each as long on its way as most.
        assert float(served) == pytest.approx(int(level) * 16 / (float(p50) / 1000), rel=0.6)
    assert len(rows[0]) == len(HEAD) - 1


@pytest.mark.parametrize("model", ["tiny-policy", "tiny-text"])
def test_a_request_of_several_inputs(tiny_archive: Callable[[str], Path], tmp_path: Path, model: str) -> None:
    first, *others = orjson.loads(several(tiny_archive(model), 16, tmp_path).read_bytes())["instances"]
    assert others == [first] * 15
    assert isinstance(first, str if model == "tiny-text" else list)
