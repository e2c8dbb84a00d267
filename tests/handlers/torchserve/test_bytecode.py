"""Compiled modules that archives share."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from handlers.torchserve import bytecode

PROJECT = Path(__file__).parents[3]
# Imports a package out of an archive, and says what was compiled meanwhile.
SCRIPT = """
import json, sys, traceback
sys.path.insert(0, sys.argv[1])
import own  # so that there are finders to be replaced
sys.path.append(sys.argv[2])
from handlers.torchserve.bytecode import share
share(sys.argv[1])
compiled = []
sys.addaudithook(lambda event, given: event == "compile" and compiled.append(str(given[1])))
import inspect
import own.inner.sums as sums
import colorsys
try:
    sums.ratio(0)
    trace = ""
except ZeroDivisionError:
    trace = traceback.format_exc()
print(json.dumps({
    "compiled": [each for each in compiled if each.startswith(sys.argv[1])],
    "trace": trace, "four": sums.ratio(3), "source": inspect.getsource(sums.Ratio.of),
    "loaders": [type(module.__spec__.loader).__name__ for module in (sums, colorsys)],
}))
"""
SUMS = """class Ratio:
    def of(self, number):
        return (lambda: 12 / number)()


def ratio(number):
    return Ratio().of(number)
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    inner = tmp_path / "first" / "own" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (inner.parent / "__init__.py").touch()
    (inner / "__init__.py").touch()
    (inner / "sums.py").write_text(SUMS)
    return tmp_path / "first"


def imported(archive: Path, kept: Path | None) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop(bytecode.FOLDER, None)
    if kept:
        environment[bytecode.FOLDER] = str(kept)
    command = [sys.executable, "-c", SCRIPT, str(archive), str(PROJECT)]
    run = subprocess.run(command, cwd=archive.parent, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout)
    assert found["four"] == 4
    assert found["source"] in SUMS
    assert f'"{archive}/own/inner/sums.py", line 3, in <lambda>\n    return (lambda: 12 / number)()' in found["trace"]
    assert found["loaders"][1] == "SourceFileLoader"
    return found


def test_another_archive_with_the_same_files_compiles_none(archive: Path, tmp_path: Path) -> None:
    first = imported(archive, tmp_path / "kept")
    assert first["loaders"][0] == "SharedLoader"
    files = [f"{archive}/own/inner/{name}.py" for name in ("__init__", "sums")]
    assert [each for each in first["compiled"] if each in files] == files
    second = Path(shutil.copytree(archive, tmp_path / "second"))
    assert imported(second, tmp_path / "kept")["compiled"] == []
    assert list(archive.rglob("*.pyc")) == []


def test_a_file_that_has_changed_is_compiled(archive: Path, tmp_path: Path) -> None:
    imported(archive, tmp_path / "kept")
    (archive / "own/inner/sums.py").write_text(SUMS + "\n\nrate = ratio\n")
    assert imported(archive, tmp_path / "kept")["compiled"] == [f"{archive}/own/inner/sums.py"]


@pytest.mark.parametrize("length", [0, 1, 30, -1])
def test_what_is_kept_is_torn(archive: Path, tmp_path: Path, length: int) -> None:
    imported(archive, tmp_path / "kept")
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:length])
    assert f"{archive}/own/inner/sums.py" in imported(archive, tmp_path / "kept")["compiled"]
    assert imported(archive, tmp_path / "kept")["compiled"] == []


def test_nothing_can_be_kept(archive: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert imported(archive, tmp_path / "missing")["compiled"]
    assert not (tmp_path / "missing").exists()


def test_no_folder_is_named(archive: Path) -> None:
    assert imported(archive, None)["loaders"] == ["SourceFileLoader", "SourceFileLoader"]


def test_files_of_an_archive_alone() -> None:
    assert bytecode.within("/models/abc", "/models/abc")
    assert bytecode.within("/models/abc/handlers", "/models/abc")
    assert not bytecode.within("/models/abcd", "/models/abc")
