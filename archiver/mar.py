"""The .mar file: a zip with `MAR-INF/MANIFEST.json`, written so that the same content gives the same bytes."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

import yaml

from archiver.digest import sha256
from archiver.errors import Problem, VerificationError

MANIFEST = "MAR-INF/MANIFEST.json"
CONFIGURATION = "model-config.yaml"
CARD = "card.json"

# A zip records a time for each file; the checkout's or the build's would make every build differ. This is the
# earliest a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
UNIX = 3  # the system a zip says it was made on decides how permissions are read
PERMISSIONS = stat.S_IFREG | 0o644


def write(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write `members`, by their name in the archive, to `path`: sorted, with fixed times and permissions.

    Nothing is compressed: weights are dense already, a worker's start need not inflate them, and compressed bytes
    differ between versions of zlib.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            content = members[name]
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = PERMISSIONS << 16
            entry.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
            with archive.open(entry, "w") as target:
                if isinstance(content, bytes):
                    target.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, target, 1 << 20)


def stage(folder: Path, members: Mapping[str, bytes | Path]) -> None:
    """Lay `members` out as the files an archive of them unpacks to."""
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)


class Mar:
    """An archive opened for reading, a context manager.

    VerificationError when it is not a zip, lacks a file that every archive has, or is unsafe to unpack.
    """

    def __init__(self, path: Path, required: Sequence[str] = (MANIFEST, CONFIGURATION, CARD)) -> None:
        self.path = path
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise VerificationError(str(path), [Problem("the file", f"cannot be read as a zip: {error}")]) from None
        self.names = [entry.filename for entry in self.zip.infolist()]
        problems = [Problem(name, "leads out of the archive's folder") for name in self.names if is_unsafe(name)]
        problems += [
            Problem(entry.filename, "is a link")
            for entry in self.zip.infolist()
            if stat.S_ISLNK(entry.external_attr >> 16)
        ]
        problems += [
            Problem(name, "is there twice") for name in sorted({n for n in self.names if self.names.count(n) > 1})
        ]
        problems += [Problem(name, "missing") for name in required if name not in self.names]
        if problems:
            self.zip.close()
            raise VerificationError(str(path), problems)

    def __enter__(self) -> Mar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.zip.close()

    def read(self, name: str) -> bytes:
        try:
            return self.zip.read(name)
        except (OSError, zipfile.BadZipFile) as error:
            raise VerificationError(str(self.path), [Problem(name, str(error))]) from None

    def mapping(self, name: str) -> dict[str, Any]:
        """A JSON or YAML file of the archive that holds keys and values."""
        try:
            text = self.read(name).decode("utf-8")
            values = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
        except (ValueError, yaml.YAMLError) as error:
            raise VerificationError(str(self.path), [Problem(name, f"cannot be read: {error}")]) from None
        if not isinstance(values, dict):
            raise VerificationError(str(self.path), [Problem(name, "wanted keys and values")])
        return values

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by name."""
        return {name: sha256(self.read(name)) for name in self.names}

    def extract(self, folder: Path) -> None:
        """Unpack all; the names were checked on opening."""
        self.zip.extractall(folder)


def is_unsafe(name: str) -> bool:
    """Absolute, on a drive, or with a step upwards: unpacked, it would land outside its folder."""
    parts = PurePosixPath(name).parts
    return not parts or name.startswith("/") or "\\" in name or ":" in parts[0] or ".." in parts
