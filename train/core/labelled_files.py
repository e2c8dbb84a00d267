"""Lists a user's own files with their classes, from a folder for each class or from a table."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from pathlib import Path

from train.core.config import ExperimentError
from train.core.file_list import Example, FileList, labels_in
from train.core.table import read_table

# Common names of the splits.
ALIASES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
TASK, SPLIT = "class", "split"


class FileReader:
    """Reads files by their path relative to `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, file: str) -> bytes:
        return (self.root / file).read_bytes()


def list_folders(root: Path, suffixes: Collection[str]) -> FileList:
    """List `root`/<class>/…, or `root`/<split>/<class>/… with folders named train, val and test; see ALIASES.

    Classes are sorted by name. Files with other suffixes are left out and reported; hidden files are ignored. Raises
    ExperimentError if no files are found.
    """
    splits = {folder.name: ALIASES[folder.name.lower()] for folder in folders(root) if folder.name.lower() in ALIASES}
    examples: list[Example] = []
    bad: dict[str, str] = {}
    for parent, split in [(root / name, split) for name, split in splits.items()] if splits else [(root, "")]:
        for folder in folders(parent):
            found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not hidden(path, root)]
            for path in found:
                file = path.relative_to(root).as_posix()
                if path.suffix.lower() in suffixes:
                    examples.append(Example(file, (folder.name,), split))
                else:
                    bad[file] = f"suffix {path.suffix!r}; wanted one of {', '.join(sorted(suffixes))}"
    classes = sorted({example.labels[0] for example in examples})
    if not classes:
        wanted = f"{root}/<class>/<file> or {root}/train/<class>/<file>"
        raise ExperimentError(f"data.folder: no {', '.join(sorted(suffixes))} files in {root}; wanted {wanted}")
    return FileList({TASK: classes}, examples, bad)


def table_path(folder: Path, labels: Path) -> Path:
    """The path of a table: beside the files, or otherwise relative to the current folder."""
    beside = folder / labels
    return beside if beside.is_file() or not labels.is_file() else labels.absolute()


def list_table(
    root: Path, table: Path, tasks: Sequence[str] | None = None, group: str | None = None, separator: str = ""
) -> FileList:
    """List the files of a table with the columns `file` (a path relative to `root`), one per task, optionally `split`.

    tasks: columns with labels; by default all but file, split and group.
    group: column whose values must not be divided between splits, such as a speaker.
    separator: between the labels in a cell, if a file may have any number of them; there is only one task then.

    A row is left out and reported if its file does not exist, it lacks a label, or its split is unknown. Raises
    ExperimentError for a table without these columns.
    """
    if not table.is_file():
        raise ExperimentError(f"data.labels: {table} does not exist")
    try:
        found = read_table(table)
    except UnicodeDecodeError as error:
        raise ExperimentError(f"data.labels: {table} is not UTF-8: {error}") from None
    except ValueError as error:
        raise ExperimentError(f"data.labels: {table} cannot be read: {error}") from None
    columns = {SPLIT if name.lower() == SPLIT else name: place for name, place in found.named.items()}
    chosen = list(tasks) if tasks else [name for name in columns if name not in ("file", SPLIT, group)]
    missing = [name for name in ("file", *chosen, *([group] if group else [])) if name not in columns]
    if missing or not chosen:
        what = f"no column {', '.join(missing)}" if missing else "no column with labels"
        raise ExperimentError(f"data.labels: {table} has {what}; its columns are {', '.join(columns) or 'none'}")
    if separator and len(chosen) > 1:
        raise ExperimentError(
            f"data.separator: wanted one column with all labels of a file; {table} has {', '.join(chosen)}; "
            "choose one with data.tasks"
        )
    examples: list[Example] = []
    bad: dict[str, str] = {}
    seen: set[str] = set()
    for number, cells in enumerate(found.rows, start=2):
        if problem := found.problem(cells):
            bad[f"line {number}"] = f"{problem}; text with a comma needs quotes"
            continue
        row = {name: cells[place] for name, place in columns.items()}
        file = posixpath.normpath(row["file"]) if row["file"] else ""
        labels = labels_in([row[task].strip() for task in chosen], separator)
        split = row.get(SPLIT, "").strip().lower()
        empty = [] if separator else [task for task, label in zip(chosen, labels, strict=True) if not label]
        if not is_file(root / file):
            bad[file or f"line {number}"] = f"line {number}: there is no such file"
        elif empty:
            bad[file] = f"line {number}: no label for {', '.join(empty)}"
        elif split and split not in ALIASES:
            bad[file] = f"line {number}: split {split!r}; wanted train, validation or test"
        elif file in seen:
            bad[f"line {number}"] = f"{file} is listed twice"
        else:
            seen.add(file)
            name = row[group].strip() if group else ""
            examples.append(Example(file, labels, ALIASES.get(split, ""), name))
    if separator:
        names = {chosen[0]: sorted({label for e in examples for label in e.labels}, key=natural)}
    else:
        names = {task: sorted({e.labels[number] for e in examples}, key=natural) for number, task in enumerate(chosen)}
    return FileList(names, examples, bad, separator)


def is_file(path: Path) -> bool:
    """Whether there is such a file; also False for a path that the system rejects as too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def natural(label: str) -> tuple[int, int, str]:
    """Sort key: numbers by their value, then names in alphabetical order."""
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def folders(parent: Path) -> list[Path]:
    """The folders in `parent`, sorted, without hidden ones. Raises ExperimentError if `parent` does not exist."""
    if not parent.is_dir():
        raise ExperimentError(f"data.folder: there is no folder {parent}")
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def hidden(path: Path, root: Path) -> bool:
    """Whether a name in the path below `root` starts with a dot."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)
