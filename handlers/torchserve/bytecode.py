"""Compiled modules that all archives of a server share: most archives hold the same handlers.

TorchServe unpacks an archive again for every registration, and Python keeps what it has compiled by a file's path, so
that without this each archive's first worker would compile a hundred files.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.abc import PathEntryFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from marshal import dumps, loads
from types import CodeType

# Names the folder that holds them. `deploy` sets it; only the server's user can write to that folder.
FOLDER = "BUNDLE_BYTECODE"


class SharedLoader(SourceFileLoader):
    """Loads a Python file; what it compiles to is kept in `folder`, by the file's content."""

    folder = ""

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        kept = os.path.join(self.folder, sha256(source).hexdigest())  # noqa: PTH118 - pathlib takes longer
        with suppress(OSError, EOFError, ValueError, TypeError):  # there is none, or it is torn
            return placed(loads(self.get_data(kept)), self.path)  # noqa: S302 - of this server's own workers
        code: CodeType = self.source_to_code(source, self.path)
        with suppress(OSError):  # a full disk: the next one compiles it again
            partial_file = f"{kept}.{os.getpid()}"
            with open(partial_file, "wb") as file:  # noqa: PTH123
                file.write(dumps(code))
            os.replace(partial_file, kept)  # noqa: PTH105
        return code


def placed(code: CodeType, path: str) -> CodeType:
    """Code compiled from a file of the same content, as if from the file at `path`: tracebacks show it."""
    constants = tuple(placed(each, path) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=path, co_consts=constants)


def share(archive: str) -> None:
    """From now on, import the unpacked archive's modules with SharedLoader, if the environment names a folder."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    SharedLoader.folder = folder
    found = FileFinder.path_hook((SharedLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> PathEntryFinder:
        if not within(path, archive):
            raise ImportError
        return found(path)

    sys.path_hooks.insert(0, hook)
    for path in [path for path in sys.path_importer_cache if within(path, archive)]:
        del sys.path_importer_cache[path]


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
