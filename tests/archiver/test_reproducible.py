"""Two builds of one model, from two checkouts that differ in all that a build must not depend on."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from tests.tiny_artifacts import TINY

PROJECT = Path(__file__).parents[2]
PACKAGES = ("archiver", "handlers", "trust", "zygote")


def checkout(root: Path, artifact: Path, mtime: float, mask: int, turned: bool) -> None:
    """A copy of what builds, of an artifact and of its spec. turned: in the reverse order, which folders may show."""
    files = [
        path for package in PACKAGES for path in (PROJECT / package).rglob("*.py") if "__pycache__" not in path.parts
    ]
    files += PROJECT.glob("archiver/**/*.yaml")
    pairs = [(path, root / path.relative_to(PROJECT)) for path in files]
    pairs += [(path, root / "artifacts" / "tiny" / path.relative_to(artifact)) for path in artifact.rglob("*")]
    for source, target in sorted(pairs, reverse=turned):
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o666 & ~mask)
            os.utime(target, (mtime, mtime))
    (root / "own.py").write_text("VALUE = 1\n")
    labels = ["Katze", "Hündin", "鳥"]
    values = {"name": "tiny", "code": ["own.py"], "labels": labels, "backend": "onnxruntime"}
    (root / "tiny.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")


def build(root: Path, mask: int, **environment: str) -> Path:
    temporary = root / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "archiver", "build", "tiny.yaml", "--no-verify", "--store", "store"],
        cwd=root,
        env={**os.environ, "TMPDIR": str(temporary), **environment},
        umask=mask,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return root / "store" / "tiny.mar"


@pytest.mark.slow
def test_two_checkouts_build_the_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    artifact = TINY["tiny-image"](tmp_path / "artifact")
    first, second = tmp_path / "a", tmp_path / "a much longer path" / "with a ü in it"
    checkout(first, artifact, 1e9, 0o022, turned=False)
    checkout(second, artifact, 1.7e9, 0o077, turned=True)
    one = build(
        first,
        0o022,
        PYTHONHASHSEED="1",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        TZ="UTC",
        OMP_NUM_THREADS="1",
    )
    other = build(
        second, 0o077, PYTHONHASHSEED="4242", LC_ALL="C.UTF-8", PYTHONUTF8="1", TZ="Asia/Kathmandu", OMP_NUM_THREADS="2"
    )
    with zipfile.ZipFile(one) as a, zipfile.ZipFile(other) as b:
        assert {"artifact/graph.onnx", "own.py"} <= set(a.namelist())
        assert {each.filename: each.CRC for each in a.infolist()} == {each.filename: each.CRC for each in b.infolist()}
    assert one.read_bytes() == other.read_bytes()
