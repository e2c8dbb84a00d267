"""Two builds of a model of each format, from two checkouts that differ in all that a build must not depend on."""

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
PACKAGES = ("archiver", "bounded_yaml", "handlers", "trust", "zygote")
# Safetensors with a graph and code of one's own, and each other format as it is.
SPECS: dict[str, dict[str, object]] = {
    "tiny-image": {"code": ["own.py"], "labels": ["Katze", "Hündin", "鳥"], "backend": "onnxruntime"},
    "tiny-yolo": {},  # an ONNX file
    "tiny-vector": {"backend": "torch"},  # a Hugging Face folder
    "tiny-audio": {"backend": "torch"},  # TorchScript
    "tiny-policy": {"backend": "torch"},  # a .pt2 of torch.export
}


def checkout(root: Path, artifacts: Path, mtime: float, mask: int, turned: bool) -> None:
    """A copy of what builds, of artifacts and of their specs. turned: in the reverse order, which folders may show."""
    files = [
        path for package in PACKAGES for path in (PROJECT / package).rglob("*.py") if "__pycache__" not in path.parts
    ]
    files += PROJECT.glob("archiver/**/*.yaml")
    pairs = [(path, root / path.relative_to(PROJECT)) for path in files]
    pairs += [(path, root / "artifacts" / path.relative_to(artifacts)) for path in artifacts.rglob("*")]
    for source, target in sorted(pairs, reverse=turned):
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o666 & ~mask)
            os.utime(target, (mtime, mtime))
    (root / "own.py").write_text("VALUE = 1\n")
    for name, values in SPECS.items():
        (root / f"{name}.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")


def build(root: Path, mask: int, **environment: str) -> Path:
    temporary = root / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "archiver", "build", *(f"{n}.yaml" for n in SPECS), "--no-verify", "--store", "store"],
        cwd=root,
        env={**os.environ, "TMPDIR": str(temporary), **environment},
        umask=mask,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return root / "store"


@pytest.mark.slow
def test_two_checkouts_build_the_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    artifacts = tmp_path / "artifacts"
    for name in SPECS:
        (tmp_path / name).mkdir()
        shutil.copytree(TINY[name](tmp_path / name / "artifact"), artifacts / name)
    first, second = tmp_path / "a", tmp_path / "a much longer path" / "with a ü in it"
    checkout(first, artifacts, 1e9, 0o022, turned=False)
    checkout(second, artifacts, 1.7e9, 0o077, turned=True)
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
    for name in SPECS:
        files = [store / f"{name}.mar" for store in (one, other)]
        with zipfile.ZipFile(files[0]) as a, zipfile.ZipFile(files[1]) as b:
            assert name != "tiny-image" or {"artifact/graph.onnx", "own.py"} <= set(a.namelist())
            assert {m.filename: m.CRC for m in a.infolist()} == {m.filename: m.CRC for m in b.infolist()}
        assert files[0].read_bytes() == files[1].read_bytes()
