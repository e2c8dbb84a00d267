"""The benchmark's first part, the tests that need a GPU, with tests of its own."""

from pathlib import Path

import pytest

from benchmarks.gpu import command, functional
from benchmarks.gpu.report import Report
from benchmarks.models import PROJECT

TESTS = """
import pytest

@pytest.mark.gpu
def test_good() -> None:
    pass

@pytest.mark.gpu
@pytest.mark.parametrize("size", [1, 2])
def test_bad(size: int) -> None:
    assert size == 1, f"a graph of {size}\\nand more"

@pytest.mark.gpu
@pytest.mark.skip(reason="needs a GPU")
def test_absent() -> None:
    pass

def test_for_any_machine() -> None:
    raise AssertionError
"""


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report("tiny", tmp_path / "tiny-gpu")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "test_own.py"
    monkeypatch.setattr(functional, "FILES", (str(path),))
    monkeypatch.setattr(functional, "OF_TORCHSERVE", ())
    return path


def test_those_that_did_not_pass_are_named(own: Path, report: Report) -> None:
    own.write_text(TESTS)
    lines = command.tested(report).splitlines()
    assert lines[0] == "Of 4 tests that need a GPU 2 passed."
    assert lines[-2] == "| test_own: test_bad[2] | failed: AssertionError: a graph of 2 |"
    assert lines[-1] == "| test_own: test_absent | skipped: needs a GPU |"
    assert report.failed
    assert "test_bad" in report.path.with_name("tiny-gpu-tests.txt").read_text()


def test_where_all_pass_there_is_one_line(own: Path, report: Report) -> None:
    own.write_text(TESTS.replace("size == 1", "size"))
    assert command.tested(report).splitlines()[0] == "Of 4 tests that need a GPU 3 passed."
    assert not report.failed


def test_none_at_all_is_a_failure(own: Path, report: Report) -> None:
    own.write_text(TESTS.replace("@pytest.mark.gpu", ""))
    assert command.tested(report).startswith("The tests that need a GPU were not run: no test was run; see ")
    assert report.failed


def test_all_files_with_such_tests_are_run() -> None:
    using = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "tests").rglob("test_*.py")
        if "@needs_gpu" in path.read_text(encoding="utf-8") and path.name != Path(__file__).name
    }
    assert using == {*functional.FILES, *functional.OF_TORCHSERVE}
