"""The project's tests that need a GPU, run before anything is measured on one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.requisites import SERVING, missing, there

PROJECT = Path(__file__).parents[2]
# Those that use `needs_gpu` of tests/handlers/gpu.py, and those of them that import TorchServe.
FILES = (
    "tests/handlers/acceleration/test_fusion.py",
    "tests/handlers/acceleration/test_gpu.py",
    "tests/handlers/vision/test_batching.py",
)
OF_TORCHSERVE = ("tests/handlers/torchserve/test_base_handler.py",)
# Without the suite's own set-up, which imports everything that builds archives of all tasks.
OPTIONS = ("-o", "addopts=", "--noconftest", "-p", "no:cacheprovider", "-q", "-m", "gpu")
PATIENCE = 240.0  # seconds
PASSED, FAILED = "passed", "failed"


def outcomes(log: Path, files: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(test, PASSED, or FAILED or "skipped" and the reason) of each test.

    log: where pytest's own output is written. files: other ones than the project's. RuntimeError if none was run.
    """
    if not there("pytest"):
        raise RuntimeError("pytest is not installed")
    chosen = files or (*FILES, *(() if missing(SERVING) else OF_TORCHSERVE))
    results = log.resolve().with_suffix(".xml")  # pytest runs elsewhere
    results.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", *OPTIONS, f"--junitxml={results}", *chosen]
    with log.open("w", encoding="utf-8") as file:
        try:
            subprocess.run(command, cwd=PROJECT, stdout=file, stderr=file, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the tests did not end within {PATIENCE:g} s; see {log}") from None
    cases = ElementTree.parse(results).iter("testcase") if results.is_file() else ()  # noqa: S314 - pytest's own file
    found = [outcome(case) for case in cases]
    results.unlink(missing_ok=True)
    if not found:
        raise RuntimeError(f"no test was run; see {log}")
    return found


def outcome(case: ElementTree.Element) -> tuple[str, str]:
    """Of one test in pytest's JUnit file."""
    name = f"{case.get('classname', '').rpartition('.')[2]}: {case.get('name', '')}"
    for tag, word in (("failure", FAILED), ("error", FAILED), ("skipped", "skipped")):
        if (child := case.find(tag)) is not None:
            return name, f"{word}: {child.get('message', '').partition(chr(10))[0][:200]}"
    return name, PASSED
