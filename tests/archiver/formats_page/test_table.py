"""The table of docs/formats.md: each row's command, and the answer that it leads to beside the source library's own.

`FORMATS_PAGE=1` writes the rows that this machine finds into the page. `python -m tests.archiver.formats_page` goes the
whole way: it runs the commands themselves and asks a server.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from archiver import archive
from archiver.new.command import app
from archiver.package import resolve
from tests.archiver.formats_page.case import Case
from tests.archiver.formats_page.cases import CASES
from tests.archiver.formats_page.page import alike, answers_of, put
from tests.handlers.vision.served import PROJECT
from tests.handlers.worker import Worker


@torch.inference_mode()
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_is_the_librarys_and_the_pages(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)  # whatever was drawn before
    library = case.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, [*shlex.split(case.command)[2:], "--specs", "specs"])
    assert made.exit_code == 0, made.stderr
    spec = Path("specs/NAME.yaml")
    if "backend:" not in spec.read_text() and "onnx" not in case.arguments:
        spec.write_text(spec.read_text() + "backend: torch\n")  # to write a graph takes a process of its own
    archive.build(resolve(spec, Path("artifacts")), PROJECT / "handlers", Path("store"))
    sent = {name: value.encode() for name, value in case.request.parameters.items()}
    row = {"body": case.request.body, "content-type": case.request.content_type.encode(), **sent}
    [answer] = Worker(Path("store/NAME.mar"), tmp_path / "unpacked").json(row)
    ours, theirs = case.read(answer), library()
    assert alike(ours, theirs), (ours, theirs)
    if os.environ.get("FORMATS_PAGE"):
        put(case, ours, theirs)
        return
    shown = answers_of(case)
    assert alike(shown[0], ours), (shown, ours)
    assert alike(shown[1], f"{theirs} ({case.library})"), (shown, theirs)
