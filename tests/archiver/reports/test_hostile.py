"""Archives that mean harm: each report ends soon, in little memory, with a line that a terminal can show."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from typer.testing import CliRunner

from archiver.__main__ import app
from archiver.store import entry
from tests.archiver.reports.hostile_archives import HOSTILE, archive

RUNNER = CliRunner()
# Of one report on one archive.
SECONDS, BYTES, LINES, CHARACTERS = 5.0, 64 << 20, 40, 20_000


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("report", ["inspect", "diff", "sbom", "list"])
def test_reports_stay_bounded_and_clean(make: Callable[[Path], Path], report: str, tmp_path: Path) -> None:
    good, hostile = archive(tmp_path / "good.mar"), make(tmp_path / "hostile.mar")
    arguments = {"diff": [str(good), str(hostile)], "list": ["--store", str(tmp_path)]}.get(report, [str(hostile)])
    tracemalloc.start()
    started = process_time()
    done = RUNNER.invoke(app, [report, *arguments])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert process_time() - started < SECONDS
    assert peak < BYTES
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert (done.exit_code != 0) == (report != "list")
    said = done.stdout + done.stderr
    assert len(said.splitlines()) <= LINES
    assert len(said) < CHARACTERS
    assert all(character.isprintable() or character in "\n\t" for character in said)
    assert "hostile" in said
    assert entry(hostile).problem
