"""The modules of handlers/ that an archive needs: those that its classes import, however deep, and now or later.

TorchServe unpacks an archive file by file at every registration: for all of handlers/ that takes about as long as
loading a small model.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PACKAGE = "handlers"


def needed(modules: Mapping[str, Path], roots: Iterable[str]) -> dict[str, Path]:
    """Those of `modules` that the roots are in or import, directly or through others.

    modules: files by path in handlers/, such as `vision/decoding.py`. roots: dotted names of modules, classes or
    functions; names outside handlers/ are ignored.
    """
    found: dict[str, Path] = {}
    waiting = [PACKAGE, *roots]
    while waiting:
        for member in files_of(waiting.pop(), modules):
            if member not in found:
                found[member] = modules[member]
                waiting += names_in(modules[member].read_bytes())
    return found


def files_of(name: str, modules: Mapping[str, Path]) -> Iterator[str]:
    """The files that are imported for a dotted name: its packages, and its module."""
    package, *parts = name.split(".")
    if package != PACKAGE:
        return
    for length in range(len(parts) + 1):
        path = "/".join(parts[:length])
        for member in (f"{path}/__init__.py".lstrip("/"), f"{path}.py"):
            if member in modules:
                yield member


def names_in(source: bytes) -> Iterator[str]:
    """Dotted names that a file imports, and texts that may be one: names of classes that it imports later."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from (f"{module}.{each.name}" for each in names)
            case ast.Constant(value=str(text)) if text.startswith(f"{PACKAGE}."):
                yield text
