"""Files of a user's data: regular files inside their folder, read whole within a bound."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handlers.formats.zip_file import check_file, printable

MAX_BYTES = 512 << 20  # of an image or a recording; uncompressed, the largest that are read have less
MAX_TABLE_BYTES = 1 << 30
MAX_JSON_BYTES = 64 << 20
DATASET_DICT = "dataset_dict.json"
MAX_SHOWN = 200  # characters of a name in a message

Report = Callable[[str, str], None]


class UnusableFile(OSError):
    """A file that is not read; the message gives the reason."""


def inside(root: Path, name: str | Path) -> Path:
    """The real path of a file or folder, all links followed. name: its path relative to `root`.

    Raises UnusableFile if it is not in `root`, to which a data set from somebody else must not add other files.
    """
    try:
        base, real = os.path.realpath(root), os.path.realpath(root / name)
    except ValueError:  # a null character, or half of a surrogate pair
        raise UnusableFile("no such file") from None
    if real != base and not real.startswith(base.rstrip(os.sep) + os.sep):
        raise UnusableFile("leads out of the data's folder; copy the file into it")
    return Path(real)


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file. limit: in bytes.

    Raises OSError for any other file, such as a pipe, which would never end, and UnusableFile for a larger one.
    """
    size = check_size(path, limit)
    with path.open("rb") as file:
        return file.read(size)  # not to the end: some of the kernel's files are regular, empty, and never end


def check_size(path: Path, limit: int) -> int:
    """The size of a regular file in bytes. Raises OSError for any other file, and UnusableFile above `limit`."""
    check_file(path)
    size = path.stat().st_size
    if size > limit:
        raise UnusableFile(f"it has {size} bytes; wanted {limit} at most")
    return size


def problem(root: Path, name: str) -> str:
    """Why `root`/`name` cannot be read, before it is opened; "" if nothing is known against it."""
    try:
        check_file(inside(root, name))
    except OSError as error:
        return reason(error)
    return ""


def reason(error: OSError) -> str:
    """Why a file cannot be read, without its path."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return error.strerror or str(error)


def check_saved(folder: Path) -> None:
    """Check the files of a dataset that `datasets` saved, before it maps them into memory: their names are in JSON.

    Raises OSError for a file that is not in `folder` or is not a regular file, and ValueError for broken JSON.
    """
    parts = ["."]
    if (folder / DATASET_DICT).exists():
        splits = json_object(folder / DATASET_DICT).get("splits")
        if not isinstance(splits, list):
            raise ValueError(f"{DATASET_DICT} has no list of splits")
        parts = [str(name) for name in splits]
    for part in parts:
        check_file(inside(folder, Path(part, "dataset_info.json")))
        files = json_object(inside(folder, Path(part, "state.json"))).get("_data_files")
        if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
            raise ValueError("state.json has no list of files")
        for file in files:
            check_file(inside(folder, Path(part, str(file.get("filename")))))


def json_object(path: Path) -> dict[str, Any]:
    """The object in a small file of JSON. Raises OSError and ValueError."""
    try:
        found = json.loads(read_bytes(path, MAX_JSON_BYTES))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name}: wanted an object; got a {type(found).__name__}")
    return found


def files_below(folder: Path, root: Path, report: Report) -> list[Path]:
    """All files in `folder` and the folders in it, sorted; hidden ones are ignored, and links to folders not followed.

    report: called with the name, relative to `root`, and the reason for everything that is left out.
    """
    found: list[Path] = []
    todo = [folder]
    while todo:
        current = todo.pop()
        try:
            entries = list(os.scandir(current))
        except OSError as error:
            report(shown(current.relative_to(root)), reason(error))
            continue
        for entry in entries:
            path = current / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                todo.append(path)
            elif path.is_dir():  # unlike that of `entry`, also for links in a circle
                report(shown(path.relative_to(root)), "is a link to a folder, which is not followed")
            elif not encodable(entry.name):
                report(shown(path.relative_to(root)), "its name is not UTF-8; rename it")
            else:
                found.append(path)
    return sorted(found)


def encodable(name: str) -> bool:
    """Whether a name can be written to a file in UTF-8; a name on disk may be any bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def shown(name: object) -> str:
    """A name for messages: on one line, without what would move a terminal's cursor, and truncated."""
    text = str(name)
    return printable(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")
