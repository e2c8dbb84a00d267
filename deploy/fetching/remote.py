"""A remote file that can be read from any byte: one interface to fsspec's back ends and registries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Protocol

from deploy.errors import DeployError
from deploy.fetching.source import MAX_SIGNATURE, SCHEMES, Source, without_secrets

BLOCK = 8 << 20  # bytes per request


class Remote(Protocol):
    """name: the archive's file name. size: in bytes; None if unknown."""

    name: str
    size: int | None

    def blocks(self, offset: int) -> Iterator[bytes]:
        """The content from a byte on. Raises NotResumable if it is available only from the first byte."""
        ...

    def signature(self) -> bytes | None:
        """The content of the archive's signature; None without one."""
        ...


def find(source: Source) -> Remote:
    """Find a remote file. Raises DeployError without its back end, and the back end's own error without the file."""
    module = SCHEMES[source.scheme]
    if module and find_spec(module) is None:
        raise DeployError(f"{source.scheme}:// needs {module}; install it with ./scripts/setup remote")
    if source.scheme == "oci":
        from deploy.fetching.registry import OciBlob

        return OciBlob(source)
    if source.scheme == "https":
        from deploy.fetching.web import WebFile

        return WebFile(source)
    return StoredFile(source)


class StoredFile:
    """A file read by fsspec, whose back ends find credentials like their stores' own tools."""

    def __init__(self, source: Source) -> None:
        from fsspec.core import url_to_fs

        self.name, self.shown = source.name, source.shown
        # Google's back end asks for a bucket's layout and warns if that is denied, although reading works.
        logging.getLogger("gcsfs").setLevel(logging.ERROR)
        try:
            self.system, self.path = url_to_fs(source.url, skip_instance_cache=True, use_listings_cache=False)
        except ValueError as error:  # raised for missing or malformed credentials
            raise DeployError(f"{self.shown} cannot be fetched: {without_secrets(str(error))}") from None
        found = self.system.info(self.path)
        if found.get("type", "file") != "file":
            raise DeployError(f"{self.shown} is not a file")
        size = found.get("size")
        self.size = int(size) if size is not None else None

    def blocks(self, offset: int) -> Iterator[bytes]:
        with self.system.open(self.path, "rb", block_size=BLOCK, cache_type="readahead") as file:
            file.seek(offset)
            while block := file.read(BLOCK):
                yield block

    def signature(self) -> bytes | None:
        path = f"{self.path}.sig"
        try:
            if (self.system.info(path).get("size") or 0) > MAX_SIGNATURE:
                raise DeployError(f"{self.shown}.sig is longer than {MAX_SIGNATURE} bytes")
            content: bytes = self.system.cat_file(path)
        except FileNotFoundError:
            return None
        return content
