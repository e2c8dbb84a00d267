"""Programs of Debian's packages."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def binary(name: str, package: str = "prometheus") -> str:
    """The path of a program of a package: the installed one, or that of the package, unpacked into our environment.

    A test that needs a missing one fails, because it checked nothing.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    unpacked = Path(sys.prefix) / package
    if not unpacked.is_dir():
        unpack(unpacked, package)
    return str(unpacked / "usr" / "bin" / name)


def unpack(folder: Path, package: str) -> None:
    """Needs apt and a list of its packages, but not root: the programs link nothing but the C library."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        try:
            download, unpacking = ["apt-get", "download", package], ["dpkg-deb", "-x", "package.deb", "unpacked"]
            subprocess.run(download, cwd=temporary, check=True, capture_output=True)
            [archive] = Path(temporary).glob("*.deb")
            archive.rename(Path(temporary, "package.deb"))
            subprocess.run(unpacking, cwd=temporary, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.fail(f"{package} is not installed, and Debian's cannot be had: {error}", pytrace=False)
        Path(temporary, "unpacked").rename(folder)
