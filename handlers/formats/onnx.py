"""Checks an ONNX graph: its external tensors have to be in its folder, and its operators ONNX Runtime's own.

The fields are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Its messages are read by
their tags alone, so a tensor is recognised by its place.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile

# By message, the fields through which tensors can be reached.
FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {2: "value"},
}
# The fields through which nodes can be reached, which leave out the contents of tensors.
NODES = {
    kind: {number: inner for number, inner in ways.items() if inner not in ("tensor", "sparse")}
    for kind, ways in FIELDS.items()
}
NODE_DOMAIN, FUNCTION_DOMAIN = 7, 10
# Domains of ONNX Runtime's own operators; those of any other are in a library that would have to be loaded.
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"}
ENTRY_KEY, LOCATION = 1, b"location"
# A file beside the graph, or in a folder beside it.
PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")
MAX_DEPTH = 64
# The types that a model's inputs may have, by ONNX Runtime's names, and NumPy's names for them.
TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}


def check(path: Path) -> None:
    """Raise UnsafeFile if the file is not an ONNX graph, or names a file that is not in its folder."""
    external_files(path)


def external_files(path: Path) -> list[str]:
    """The files that hold external tensors, by path from the graph's folder. Raises UnsafeFile as `check` does."""
    try:
        zip_file.check_file(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            # Parsed only if the key of such a file's name occurs in it, which is rare; the search is fast.
            locations = sorted(set(external(mapped))) if mapped.find(LOCATION) >= 0 else []
    except (OSError, ValueError, IndexError) as error:
        raise UnsafeFile(f"is not an ONNX graph: {zip_file.reason(error)}") from None
    names = [location.decode("utf-8", "replace") for location in locations]
    for name in names:
        if not PLAIN.fullmatch(name) or not is_within(path.parent, name):
            raise UnsafeFile(f"keeps tensors in {name[:80]!r}, which is not a file beside it")
    return names


def is_within(folder: Path, name: str) -> bool:
    """Whether the file exists, with no link on the way to it from the folder."""
    return (folder / name).is_file() and (folder / name).resolve() == folder.resolve() / name


def check_model(path: Path) -> None:
    """As `check`, for a user's model: also raise UnsafeFile if any of its operators is unknown."""
    check(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            foreign = sorted(foreign_domains(mapped))
    except (OSError, ValueError, IndexError) as error:
        raise UnsafeFile(f"is not an ONNX graph: {zip_file.reason(error)}") from None
    if foreign:
        raise UnsafeFile(
            f"uses operators of {', '.join(name[:80] for name in foreign)}, which are in a library of code that is "
            "not loaded; export it with ONNX's own operators alone"
        )


def foreign_domains(mapped: mmap.mmap) -> set[str]:
    """The domains of operators that are not in ONNX Runtime, and that the file does not define as functions."""
    used: set[bytes] = set()
    defined: set[bytes] = set()
    graphs = 0
    for kind, entries in messages(mapped, NODES):
        graphs += kind == "graph"
        if kind in ("node", "function"):
            domain = NODE_DOMAIN if kind == "node" else FUNCTION_DOMAIN
            names = {mapped[begin:stop] for number, begin, stop in entries if number == domain}
            (used if kind == "node" else defined).update(names)
    if not graphs:
        raise ValueError("it has no graph")
    return {name.decode("utf-8", "replace") for name in used - defined} - DOMAINS


def external(mapped: mmap.mmap) -> Iterator[bytes]:
    """The names of the files that hold external tensors."""
    for kind, entries in messages(mapped, FIELDS):
        if kind == "entry":
            parts = [(number == ENTRY_KEY, mapped[begin:stop]) for number, begin, stop in entries]
            if any(is_key and text == LOCATION for is_key, text in parts):
                yield from (text for is_key, text in parts if not is_key)


def messages(mapped: mmap.mmap, ways: dict[str, dict[int, str]]) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """(kind, fields) of each message reached by `ways`: by message, the fields that hold others, and their kinds."""
    todo = [("model", 0, len(mapped), 0)]
    while todo:
        kind, start, end, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        entries = list(fields(mapped, start, end))
        inner = [(ways[kind].get(number, ""), begin, stop, depth + 1) for number, begin, stop in entries]
        todo += [message for message in inner if message[0] in ways]
        yield kind, entries


def fields(mapped: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, begin, end) of each length-delimited field of a message."""
    while start < end:
        tag, start = varint(mapped, start, end)
        match tag & 7:
            case 0:
                _, start = varint(mapped, start, end)
            case 1:
                start += 8
            case 2:
                length, start = varint(mapped, start, end)
                if length > end - start:
                    raise ValueError("a field is longer than its message, as in a file that is cut off")
                yield tag >> 3, start, start + length
                start += length
            case 5:
                start += 4
            case wire:
                raise ValueError(f"a field of wire type {wire}")
    if start != end:
        raise ValueError("its last field is cut off")


def varint(mapped: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """The number that begins at `start`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if start >= end:
            raise ValueError("a number is cut off")
        byte = mapped[start]
        value |= (byte & 0x7F) << shift
        start += 1
        if byte < 0x80:
            return value, start
    raise ValueError("a number of more than ten bytes")
