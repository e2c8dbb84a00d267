import subprocess
import sys
from pathlib import Path

import pytest

from archiver.archive import build
from archiver.package import resolve
from tests.archiver.sample_project import SampleProject


@pytest.fixture
def archive(project: SampleProject) -> Path:
    return build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """Made by TorchServe's own archiver."""
    (tmp_path / "handler.py").write_text("class Handler:\n    pass\n")
    (tmp_path / "requirements.txt").write_text("numpy==2.1.0\n")
    (tmp_path / "weights.pt").write_bytes(b"weights")
    command = "-m model_archiver.model_packaging --model-name alien --version 2.0 --handler handler.py"
    files = ["--serialized-file", "weights.pt", "--requirements-file", "requirements.txt", "--export-path", "."]
    subprocess.run([sys.executable, *command.split(), *files], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "alien.mar"
