"""Archives that mean harm, in a store that is served."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from deploy.archive import Archive, readable
from deploy.errors import DeployError
from tests.archiver.reports.hostile_archives import HOSTILE, archive

SECONDS, BYTES, CHARACTERS = 5.0, 64 << 20, 500


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_an_archive_that_means_harm_is_refused_in_one_line(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path / "two\nlines\x1b[2J.mar")
    archive(tmp_path / "good.mar")
    tracemalloc.start()
    started = process_time()
    with pytest.raises(DeployError) as refused:
        Archive.read(path)
    assert [found.path.name for found in readable(tmp_path)] == ["good.mar"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert process_time() - started < SECONDS
    assert peak < BYTES
    said = str(refused.value)
    assert said.isprintable()
    assert len(said) < CHARACTERS


def test_what_is_not_a_file_is_not_an_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mar")
    (tmp_path / "folder.mar").mkdir()
    (tmp_path / "link.mar").symlink_to("nowhere")
    (tmp_path / "loop.mar").symlink_to("loop.mar")
    (tmp_path / "zeros.mar").symlink_to("/dev/zero")
    assert readable(tmp_path) == []
