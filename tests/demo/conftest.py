"""The README's first command, run as its reader runs it: the demo models, trained where they are missing."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from deploy.configuration import PROJECT

BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """(language, text) of the README's blocks, in their order."""
    return BLOCK.findall((PROJECT / "README.md").read_text(encoding="utf-8"))


def run(language: str, text: str) -> str:
    """The block's output; AssertionError with it where the block fails."""
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [".venv/bin/python", "-c", text]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="package")
def served() -> Iterator[str]:
    """The output of the first block; the server is ended afterwards."""
    (language, text), *_ = blocks()
    assert text.strip() == "./scripts/serve --detach"
    try:
        yield run(language, text)
    finally:
        subprocess.run(["./scripts/stop"], cwd=PROJECT, capture_output=True, check=True)
