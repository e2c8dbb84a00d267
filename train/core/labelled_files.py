"""Lists a user's own files with their classes, from a folder for each class or from a table."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from pathlib import Path

from rich import print as say

from train.core.config import ExperimentError
from train.core.data_file import files_below, inside, problem, read_bytes, shown
from train.core.file_list import Example, FileList, label_problem, labels_in
from train.core.table import NULL_CELL, read_table

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
    """Reads files by their path relative to `root`, and none outside of it. Raises OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, file: str) -> bytes:
        return read_bytes(inside(self.root, file))


def list_folders(root: Path, suffixes: Collection[str]) -> FileList:
    """List `root`/<class>/…, or `root`/<split>/<class>/… with folders named train, val and test; see ALIASES.

    Classes are sorted by name. Other files, and those with other suffixes, are left out and reported; hidden ones are
    ignored. Raises ExperimentError if no files are found.
    """
    examples: list[Example] = []
    bad: dict[str, str] = {}
    parents = folders(root, root, bad)
    splits = [(folder, ALIASES[folder.name.lower()]) for folder in parents if folder.name.lower() in ALIASES]
    for parent, split in splits or [(root, "")]:
        for folder in folders(parent, root, bad) if splits else parents:
            if why := label_problem(folder.name):
                bad[shown(folder.relative_to(root))] = f"the folder's name {why}"
                continue
            for path in files_below(folder, root, bad.__setitem__):
                file = path.relative_to(root).as_posix()
                if path.suffix.lower() not in suffixes:
                    bad[file] = f"suffix {path.suffix!r}; wanted one of {', '.join(sorted(suffixes))}"
                elif why := problem(root, file):
                    bad[file] = why
                else:
                    examples.append(Example(file, (folder.name,), split))
    classes = sorted({example.labels[0] for example in examples})
    if not classes:
        wanted = f"{root}/<class>/<file> or {root}/train/<class>/<file>"
        left_out = FileList({TASK: []}, [], bad).left_out
        raise ExperimentError(
            f"data.folder: no {', '.join(sorted(suffixes))} files in {root}; wanted {wanted}{left_out}"
        )
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

    A row is left out and reported if its file does not exist in `root`, it lacks a label, or its split is unknown.
    Raises ExperimentError for a table without these columns.
    """
    try:
        found = read_table(table)
    except FileNotFoundError:
        raise ExperimentError(f"data.labels: {table} does not exist") from None
    except UnicodeDecodeError as error:
        raise ExperimentError(f"data.labels: {table} is not UTF-8: {error}") from None
    except (OSError, ValueError) as error:
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
        if why := found.problem(cells):
            bad[f"line {number}"] = why if why == NULL_CELL else f"{why}; text with a comma needs quotes"
            continue
        row = {name: cells[place] for name, place in columns.items()}
        file = posixpath.normpath(row["file"]) if row["file"] else ""
        labels = labels_in([row[task].strip() for task in chosen], separator)
        split = row.get(SPLIT, "").strip().lower()
        empty = [] if separator else [task for task, label in zip(chosen, labels, strict=True) if not label]
        odd = [why for label in labels if (why := label_problem(label))]
        if why := problem(root, file) if file else "no such file":
            bad[shown(file) or f"line {number}"] = f"line {number}: {why}"
        elif empty:
            bad[file] = f"line {number}: no label for {', '.join(empty)}"
        elif odd:
            bad[file] = f"line {number}: a label {odd[0]}"
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


def natural(label: str) -> tuple[int, int, str, str]:
    """Sort key: numbers by their value, then names in alphabetical order."""
    if not (label.isascii() and label.isdecimal()):
        return 1, 0, "", label
    digits = label.lstrip("0")
    return 0, len(digits), digits, label


def folders(parent: Path, root: Path, bad: dict[str, str]) -> list[Path]:
    """The folders in `parent`, sorted, without hidden ones. Raises ExperimentError if `parent` does not exist.

    bad: gets the links to folders, which would add the files of other classes or of other folders.
    """
    if not parent.is_dir():
        raise ExperimentError(f"data.folder: there is no folder {parent}")
    found = []
    for path in sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if path.is_symlink():
            bad[shown(path.relative_to(root))] = "is a link to a folder, which is not followed"
        else:
            found.append(path)
    return found


def report(listed: FileList) -> None:
    """Print the first ten skipped files; the run's unreadable.csv lists all."""
    if listed.bad:
        say(f"skipped {len(listed.bad)} of {len(listed.bad) + len(listed.examples)} files:")
        for file, reason in list(listed.bad.items())[:10]:
            print(f"  {shown(file)}: {shown(reason)}")
        if len(listed.bad) > 10:
            print(f"  … and {len(listed.bad) - 10} more, see data/unreadable.csv in the run's folder")
