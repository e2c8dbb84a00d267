"""A checkout that the doctor can examine."""

import shutil
import sys
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.doctor.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with today's locks, a Python, and nothing else."""
    for folder in ("requirements", "scripts"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for folder in (".venv/bin", ".venv/lib/python3.11/site-packages", "secrets", "model_store", ".run"):
        (tmp_path / folder).mkdir(parents=True)
    made = Checkout(tmp_path, tmp_path / ".run")
    made.python.symlink_to(sys.executable)
    return made
