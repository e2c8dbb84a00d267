"""A data set's list of files, with the classes and the split of each."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
from numpy.random import Generator

from train.core.config import ExperimentError
from train.core.data_file import MAX_TABLE_BYTES, read_bytes, shown

SPLITS = ("train", "validation", "test")
SHOWN = 10  # problems, and files that were left out, in an error
MAX_CLASSES = 32_768  # of a task; ImageNet-21k fits
MAX_LABEL = 1_000  # characters


@dataclass(frozen=True)
class Example:
    """A file with its classes.

    file: its name, as the data source uses it. labels: one class for each task, or any number of classes in a
        multi-label list, which has one task.
    split: one of SPLITS, or "" before the data is divided.
    group: such as the speaker; the examples of a group stay in the same split. "" for none.
    """

    file: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""


@dataclass
class FileList:
    """The usable files of a data set.

    tasks: the classes of each task, by their index. bad: files that were left out → the reason.
    separator: between the labels in a cell of files.csv, for a multi-label list; "" if each example has exactly one
        class of each task.
    """

    tasks: dict[str, list[str]]
    examples: list[Example]
    bad: dict[str, str] = field(default_factory=dict)
    separator: str = ""

    @property
    def multi_label(self) -> bool:
        return bool(self.separator)

    def of(self, split: str) -> list[Example]:
        """The examples of a split."""
        return [example for example in self.examples if example.split == split]

    def indices(self, example: Example) -> list[int]:
        """The index of the example's class in each task; in a multi-label list, 1 or 0 for each class."""
        if self.multi_label:
            [index] = self.indexed
            found = [0] * len(index)
            for label in example.labels:
                found[index[label]] = 1
            return found
        return [index[label] for index, label in zip(self.indexed, example.labels, strict=True)]

    @cached_property
    def indexed(self) -> list[dict[str, int]]:
        """class → index, for each task."""
        return [{name: number for number, name in enumerate(classes)} for classes in self.tasks.values()]

    def counts(self, split: str) -> dict[str, dict[str, int]]:
        """Number of files by task and class."""
        examples = self.of(split)
        if self.multi_label:
            [(task, classes)] = self.tasks.items()
            counted = Counter(label for example in examples for label in example.labels)
            return {task: {name: counted[name] for name in classes}}
        found = {}
        for number, (task, classes) in enumerate(self.tasks.items()):
            counted = Counter(example.labels[number] for example in examples)
            found[task] = {name: counted[name] for name in classes}
        return found

    def without(self, bad: dict[str, str]) -> FileList:
        """The list without these files. bad: file → the reason."""
        kept = [example for example in self.examples if example.file not in bad]
        return replace(self, examples=kept, bad={**self.bad, **bad})

    def divided(self, validation: float, test: float, seed: int) -> FileList:
        """Draw the missing splits from the training examples, the same share of every combination of classes.

        In a multi-label list, which has many combinations, the share is the same for all examples with the same rarest
        class. If examples have groups, whole groups are drawn, whatever their classes.

        validation, test: shares of the files to be divided, or of the groups. Raises ExperimentError if the training or
        the validation split is empty, or a class does not occur in the training split.
        """
        shares = {name: share for name, share in (("validation", validation), ("test", test)) if not self.of(name)}
        open_ = [number for number, example in enumerate(self.examples) if example.split in ("", "train")]
        splits = [example.split or "train" for example in self.examples]
        rng = np.random.default_rng(seed)
        if any(self.examples[number].group for number in open_):
            self.draw_groups(open_, splits, shares, rng)
        else:
            self.draw_by_class(open_, splits, shares, rng)
        examples = [replace(example, split=split) for example, split in zip(self.examples, splits, strict=True)]
        divided = replace(self, examples=examples)
        divided.check()
        return divided

    def draw_groups(self, numbers: list[int], splits: list[str], shares: dict[str, float], rng: Generator) -> None:
        """Draw at least one group for each requested split, as long as one is left for training.

        numbers: indices of the examples to divide. splits: the splits of all examples, changed in place.
        """
        members: dict[str, list[int]] = defaultdict(list)
        for number in numbers:
            members[self.examples[number].group or f"file {number}"].append(number)
        groups = rng.permutation(sorted(members)).tolist()
        total = len(groups)
        for name, share in shares.items():
            count = min(len(groups) - 1, max(1, round(total * share))) if share else 0
            for group in (groups.pop() for _ in range(count)):
                for number in members[group]:
                    splits[number] = name

    def draw_by_class(self, numbers: list[int], splits: list[str], shares: dict[str, float], rng: Generator) -> None:
        """Draw examples by class; see `divided`. The arguments are those of `draw_groups`."""
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        counted = Counter(label for number in numbers for label in self.examples[number].labels)
        for number in numbers:
            labels = self.examples[number].labels
            if self.multi_label:
                labels = tuple(sorted(labels, key=lambda label: (counted[label], label))[:1])
            groups[labels].append(number)
        for labels in sorted(groups):
            members = rng.permutation(groups[labels]).tolist()
            left = len(members) - 1  # one is kept for training
            for name, share in shares.items():
                # Rounded up or down at random, so that small classes get their share on average.
                count = min(left, int(len(members) * share + rng.random()))
                left -= count
                for number in (members.pop() for _ in range(count)):
                    splits[number] = name

    def check(self) -> None:
        """Raise ExperimentError if a network cannot be trained on the list; see `divided`."""
        problems = [f"no files in the {name} split" for name in SPLITS[:2] if not self.of(name)]
        for task, counts in self.counts("train").items():
            problems += [f"{task}: no training files of class {name!r}" for name, count in counts.items() if not count]
            if len(counts) < 2:
                problems.append(f"{task}: wanted at least two classes; got {', '.join(counts) or 'none'}")
            if len(counts) > MAX_CLASSES:
                problems.append(f"{task}: {len(counts)} classes; wanted {MAX_CLASSES} at most")
        if problems:
            listed = "\n  ".join(problems[:SHOWN])
            more = f"\n  … and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            raise ExperimentError(f"data: {len(self.examples)} usable files\n  {listed}{more}{self.left_out}")

    @property
    def left_out(self) -> str:
        """The part of an error message that lists the first files that were left out; empty if none were."""
        return "".join(f"\n  left out: {shown(file)}: {why}" for file, why in list(self.bad.items())[:SHOWN])

    def write(self, folder: Path, **statistics: Any) -> None:
        """Write files.csv, unreadable.csv and, last, data.json with the classes, their counts and `statistics`.

        An existing data.json therefore means that all files are complete.
        """
        folder.mkdir(parents=True, exist_ok=True)
        rows = [(example.split, example.file, example.group, *self.cells(example)) for example in self.examples]
        write_table(folder / "files.csv", ("split", "file", "group", *self.tasks), rows)
        write_table(folder / "unreadable.csv", ("file", "reason"), list(self.bad.items()))
        found = {
            "tasks": self.tasks,
            "files": {split: len(self.of(split)) for split in SPLITS},
            "unreadable": len(self.bad),
            "classes": {split: self.counts(split) for split in SPLITS},
            "separator": self.separator,
            **statistics,
        }
        partial = folder / "data.json.partial"
        partial.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.rename(folder / "data.json")

    @classmethod
    def read(cls, folder: Path) -> tuple[FileList, dict[str, Any]]:
        """Read what `write` wrote: the list, and the values in data.json. Raises ExperimentError if that is damaged."""
        try:
            found = json.loads(read_bytes(folder / "data.json", MAX_TABLE_BYTES))
            separator = found.get("separator", "")  # missing in runs of earlier versions
            examples = [
                Example(file, labels_in(labels, separator), split, group)
                for split, file, group, *labels in rows_of(folder / "files.csv")
            ]
            bad: dict[str, str] = dict(rows_of(folder / "unreadable.csv"))
            listed = cls(found["tasks"], examples, bad, separator)
            for example in examples:
                listed.indices(example)
        except (OSError, ValueError, KeyError, AttributeError, TypeError, csv.Error) as error:
            raise ExperimentError(
                f"{folder} is damaged: {type(error).__name__}: {error}; train again in a new run"
            ) from None
        return listed, found

    def cells(self, example: Example) -> tuple[str, ...]:
        """The example's labels for a table, one cell per task."""
        return (self.separator.join(example.labels),) if self.multi_label else example.labels


def label_problem(label: str) -> str:
    """Why a text is not a class's name; "" if it is. The name appears in files, in answers and on terminals."""
    if not label.strip():
        return "is empty"
    if len(label) > MAX_LABEL:
        return f"has {len(label)} characters; wanted {MAX_LABEL} at most"
    # Control characters, halves of surrogate pairs and ends of lines, but not the joiners of scripts and emoji.
    wrong = next((each for each in label if category(each) in ("Cc", "Cs", "Zl", "Zp")), None)
    return "" if wrong is None else f"contains the control character {wrong!a}"


def labels_in(cells: Sequence[str], separator: str) -> tuple[str, ...]:
    """The labels in a row's cells: one per cell, or with a separator any number of distinct ones in the only cell."""
    if not separator:
        return tuple(cells)
    [cell] = cells
    return tuple(dict.fromkeys(part.strip() for part in cell.split(separator) if part.strip()))


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def rows_of(path: Path) -> list[list[str]]:
    """Read what `write_table` wrote, without the header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]
