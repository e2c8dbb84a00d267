"""The .mar file, a zip with `MAR-INF/MANIFEST.json`, written reproducibly."""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from archiver.errors import Problem, VerificationError
from archiver.reading import MAX_BYTES, parse_yaml
from handlers.formats import json_file, zip_file
from handlers.formats.errors import UnsafeFile

MANIFEST = "MAR-INF/MANIFEST.json"
CONFIGURATION = "model-config.yaml"
CARD = "card.json"

# A zip stores a time for each file, which would make every build differ. This is the earliest possible time.
EPOCH = (1980, 1, 1, 0, 0, 0)
UNIX = 3  # the system recorded in a zip determines how permissions are read
PERMISSIONS = stat.S_IFREG | 0o644


def write(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write `members`, given by name in the archive, to `path`: sorted, with fixed times and permissions.

    The file is created: a FileExistsError for whatever lies there, so that nothing is written through a link.

    Nothing is compressed: weights hardly compress, workers start without inflating them, and compressed bytes differ
    between zlib versions.
    """
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
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
    """Write `members` as files, as if an archive of them had been unpacked."""
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)


class Mar:
    """An archive opened for reading; a context manager.

    Raises VerificationError if it is not a zip, lacks a required file, or is unsafe to unpack.
    """

    def __init__(self, path: Path, required: Sequence[str] = (MANIFEST, CONFIGURATION, CARD)) -> None:
        self.path = path
        self.found: dict[str, str] = {}
        try:
            self.zip = zip_file.opened(path)
        except UnsafeFile as error:
            raise VerificationError(str(path), [Problem("the file", str(error))]) from None
        self.names = self.zip.namelist()
        problems = [Problem(name, what) for name, what in zip_file.problems(self.zip)]
        problems += [Problem(name, what) for name, what in zip_file.unlisted(self.zip)]
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

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        try:
            return zip_file.read(self.zip, name, limit)
        except UnsafeFile as error:
            raise VerificationError(str(self.path), [Problem(name, str(error).removeprefix(f"{name} "))]) from None

    def mapping(self, name: str) -> dict[str, Any]:
        """The keys and values of a JSON or YAML file in the archive."""
        content = self.read(name)
        try:
            values = parse_yaml(content.decode("utf-8")) if name.endswith(".yaml") else json_file.loads(content, "it")
        except (UnicodeDecodeError, UnsafeFile) as error:
            raise VerificationError(str(self.path), [Problem(name, f"cannot be read: {error}")]) from None
        if not isinstance(values, dict):
            raise VerificationError(str(self.path), [Problem(name, "wanted keys and values")])
        return values

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file by name; computed once."""
        if not self.found:
            self.found = {name: self.digest(name) for name in self.names}
        return self.found

    def digest(self, name: str) -> str:
        try:
            with self.zip.open(name) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except zip_file.ERRORS as error:
            raise VerificationError(str(self.path), [Problem(name, zip_file.reason(error))]) from None

    def extract(self, folder: Path) -> None:
        """Unpack all files, whose names were checked on opening."""
        try:
            self.zip.extractall(folder)
        except zip_file.ERRORS as error:
            raise VerificationError(str(self.path), [Problem("the file", zip_file.reason(error))]) from None
