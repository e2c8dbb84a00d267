"""The programs of Debian's package prometheus."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

UNPACKED = Path(sys.prefix) / "prometheus"


def binary(name: str) -> str:
    """The path of `prometheus` or `promtool`: the installed one, or that of the package, unpacked into our environment.

    A test that needs a missing one fails, because it checked nothing.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    if not UNPACKED.is_dir():
        unpack(UNPACKED)
    return str(UNPACKED / "usr" / "bin" / name)


def unpack(folder: Path) -> None:
    """Needs apt and a list of its packages, but not root: the programs link nothing but the C library."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        try:
            download, unpacking = ["apt-get", "download", "prometheus"], ["dpkg-deb", "-x", "package.deb", "unpacked"]
            subprocess.run(download, cwd=temporary, check=True, capture_output=True)
            [package] = Path(temporary).glob("*.deb")
            package.rename(Path(temporary, "package.deb"))
            subprocess.run(unpacking, cwd=temporary, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.fail(f"prometheus is not installed, and Debian's cannot be had: {error}", pytrace=False)
        Path(temporary, "unpacked").rename(folder)
