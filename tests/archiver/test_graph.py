"""The graph of an archive: written, refused, or done without. The project's handler writes none."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.archive import Archive, build
from archiver.errors import SpecError
from archiver.package import resolve
from tests.archiver.sample_project import SampleProject


def archive_of(project: SampleProject) -> Archive:
    return build(resolve(project.spec_file, project.artifacts), project.handlers, project.store)


def test_without_a_graph_the_reason_is_told(project: SampleProject) -> None:
    project.spec(backend="auto")
    archive = archive_of(project)
    assert (archive.backend, archive.reason) == ("torch", "its handler does not export one")


def test_a_graph_that_is_asked_for_and_cannot_be_had(project: SampleProject) -> None:
    project.spec(backend="onnxruntime")
    with pytest.raises(SpecError, match="backend: the model has no ONNX graph: its handler does not export one"):
        archive_of(project)
    assert not project.store.exists()


def test_nobody_asks_the_handler_where_the_spec_wants_torch(project: SampleProject) -> None:
    project.handler("raise SystemExit('asked')")
    archive = archive_of(project)
    assert (archive.backend, archive.reason) == ("torch", "")


def test_a_graph_of_the_real_handlers(tiny_archive: Callable[[str], Path]) -> None:
    with zipfile.ZipFile(tiny_archive("tiny-image")) as archive:
        assert "artifact/graph.onnx" in archive.namelist()
