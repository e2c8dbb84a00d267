"""A fork of the archiver's warm process writes and finds what a fresh interpreter does."""

import ast
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from archiver.archive import build
from archiver.package import resolve
from archiver.verification import worker_process
from archiver.verification.verify import verify
from tests.archiver.sample_project import SampleProject
from tests.tiny_archives import PROJECT
from zygote.client import Unreachable


def unreachable(*arguments: Any) -> int:
    raise Unreachable("no warm process")


@pytest.mark.slow
def test_the_archive_is_the_same_to_the_byte(
    tiny_archive: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its graph, which the exporter writes: here by forks of one process, then by fresh interpreters."""
    root = tiny_archive("tiny-image").parent.parent
    package = resolve(root / "tiny-image.yaml", root)
    forked = build(package, PROJECT / "handlers", tmp_path / "forked")
    assert worker_process.WARM.zygote is not None
    assert worker_process.WARM.zygote.alive
    monkeypatch.setattr(worker_process, "forked", unreachable)
    with caplog.at_level(logging.WARNING):
        fresh = build(package, PROJECT / "handlers", tmp_path / "fresh")
    assert "a fresh interpreter takes over" in caplog.text
    assert fresh.backend == "onnxruntime"
    assert fresh.path.read_bytes() == forked.path.read_bytes()


def test_several_at_once(project: SampleProject) -> None:
    archive = build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path
    with ThreadPoolExecutor() as threads:
        assert all(result.load_s > 0 for result in threads.map(verify, [archive] * 3))


def test_another_takes_the_place_of_one_that_died(project: SampleProject) -> None:
    archive = build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path
    verify(archive)
    first = worker_process.WARM.zygote
    assert first is not None
    first.process.kill()
    first.process.wait()
    assert verify(archive).load_s > 0
    assert worker_process.WARM.zygote is not first


def test_a_worker_does_not_see_us(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our modules nor our folder, nor a hub."""
    seen = project.artifact.parent / "seen"
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("BUNDLE_WORD", "as set after the warm process was started")
    source = (project.handlers / "vision" / "image_classification.py").read_text(encoding="utf-8")
    look = (
        "import os, sys\n"
        f"open({str(seen)!r}, 'w').write(repr((os.getcwd(), [p for p in sys.path if p.startswith({str(PROJECT)!r}) and "
        "'site-packages' not in p], [m for m in sys.modules if m.split('.')[0] in ('archiver', 'zygote', 'tests')],"
        " os.environ['HF_HUB_OFFLINE'], os.environ['BUNDLE_WORD'], sys.flags.isolated, sys.dont_write_bytecode)))\n"
    )
    project.handler(look + source)
    verify(build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path)
    folder, path, modules, offline, late, *flags = ast.literal_eval(seen.read_text())
    assert folder != os.getcwd()  # noqa: PTH109
    assert (path, modules, offline, flags) == ([], [], "1", [1, True])
    assert late == "as set after the warm process was started"
