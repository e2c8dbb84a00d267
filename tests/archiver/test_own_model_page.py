"""docs/own-model.md as it is printed: its artifacts, specs and handlers are built, verified and answer."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import orjson
import pytest
from PIL import Image

from tests.handlers.worker import Worker

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "own-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:python|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# What a block's file is called here, and what it alone has.
FILES = {
    "defects.py": 'name="defects"',
    "defects.yaml": "limits: {max_pixels: 12000000}",
    "net.py": "class Net",
    "edges_artifact.py": 'name="edges"',
    "edges.yaml": "handler: edges.Edges",
    "edges.py": "class Edges",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own")
    for name, part in FILES.items():
        [text] = [block for block in BLOCKS if part in block]
        (path / name).write_text(text)
    assert len(BLOCKS) == len(FILES)
    for name in ("good-part.jpg", "room.jpg"):
        Image.new("RGB", (320, 240), (200, 90, 10)).save(path / name)
    return path


def run(folder: Path, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PROJECT), str(folder)))}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "script", "sample", "answer"),
    [
        ("defects", "defects.py", "good-part.jpg", "predictions"),
        ("edges", "edges_artifact.py", "room.jpg", "edges"),
    ],
)
def test_the_examples_are_built_and_verified(
    folder: Path, name: str, script: str, sample: str, answer: str, tmp_path: Path
) -> None:
    run(folder, script)
    run(folder, "-m", "archiver", "build", f"{name}.yaml")
    archive = folder / "model_store" / f"{name}.mar"
    with zipfile.ZipFile(archive) as file:
        card = orjson.loads(file.read("card.json"))
    assert card["task"] == ("image-classification" if name == "defects" else "edge-detection")
    row = {"body": (folder / sample).read_bytes()}
    first, second = Worker(archive, tmp_path).json(row, row)
    assert first.keys() == {answer}
    assert first == second
