"""The list of a data set's files, with the classes and the split of each."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from train.core.config import ExperimentError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Example:
    """file: as its source names it. labels: a class for each task, or any number of classes of the one task of a list
    with a separator. split: one of SPLITS, or "" while undecided.

    group: the name that examples of one split share, such as a speaker; "" for an example without a group.
    """

    file: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""


@dataclass
class FileList:
    """tasks: the classes of each task in the order of their index. bad: files that were left out → the reason.

    separator: between the labels of an example in a table, if it may have any number of classes of the only task; "" if
    it has exactly one class of each task.
    """

    tasks: dict[str, list[str]]
    examples: list[Example]
    bad: dict[str, str] = field(default_factory=dict)
    separator: str = ""

    @property
    def multi_label(self) -> bool:
        return bool(self.separator)

    def of(self, split: str) -> list[Example]:
        return [example for example in self.examples if example.split == split]

    def indices(self, example: Example) -> list[int]:
        """The index of the example's class in each task; of a multi-label list, for each class 1 where it applies and
        0 where it does not."""
        if self.multi_label:
            [classes] = self.tasks.values()
            return [int(name in example.labels) for name in classes]
        pairs = zip(self.tasks.values(), example.labels, strict=True)
        return [classes.index(label) for classes, label in pairs]

    def counts(self, split: str) -> dict[str, dict[str, int]]:
        """Files of each class, for each task."""
        examples = self.of(split)
        if self.multi_label:
            [(task, classes)] = self.tasks.items()
            counted = Counter(label for example in examples for label in example.labels)
            return {task: {name: counted[name] for name in classes}}
        return {
            task: {name: Counter(example.labels[number] for example in examples)[name] for name in classes}
            for number, (task, classes) in enumerate(self.tasks.items())
        }

    def without(self, bad: dict[str, str]) -> FileList:
        kept = [example for example in self.examples if example.file not in bad]
        return replace(self, examples=kept, bad={**self.bad, **bad})

    def divided(self, validation: float, test: float, seed: int) -> FileList:
        """Draw missing splits from the training examples: the same share of every combination of classes.

        For a multi-label list, which has many combinations, it is the same share of the examples with the same rarest
        class. If examples have groups, whole groups are drawn, whatever their classes.

        validation, test: their shares of the files to be divided, or of the groups. Raises ExperimentError if a split
        would be empty, or a class would not occur in the training files.
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
        """Draw groups: at least one for each requested split, as long as groups are left."""
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
                # Rounded up or down at random, so that small classes get their share of a split on average.
                count = min(left, int(len(members) * share + rng.random()))
                left -= count
                for number in (members.pop() for _ in range(count)):
                    splits[number] = name

    def check(self) -> None:
        problems = [f"no file for {name}" for name in SPLITS[:2] if not self.of(name)]
        for task, counts in self.counts("train").items():
            problems += [f"{task}: no file of {name!r} for training" for name, count in counts.items() if not count]
            if len(counts) < 2:
                problems.append(f"{task}: wanted two classes or more; got {', '.join(counts) or 'none'}")
        if problems:
            listed = "\n  ".join(problems)
            left_out = "".join(f"\n  left out: {file}: {why}" for file, why in list(self.bad.items())[:10])
            raise ExperimentError(f"data: {len(self.examples)} files\n  {listed}{left_out}")

    def write(self, folder: Path, **statistics: Any) -> None:
        """Write files.csv, unreadable.csv and, last, data.json with the classes, their counts and `statistics`."""
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
        """What `write` wrote: the list, and data.json."""
        found = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        separator = found.get("separator", "")  # missing in runs of earlier versions
        examples = [
            Example(file, labels_in(labels, separator), split, group)
            for split, file, group, *labels in rows_of(folder / "files.csv")
        ]
        bad: dict[str, str] = dict(rows_of(folder / "unreadable.csv"))
        return cls(found["tasks"], examples, bad, separator), found

    def cells(self, example: Example) -> tuple[str, ...]:
        """The example's labels as a table has them: one cell for each task."""
        return (self.separator.join(example.labels),) if self.multi_label else example.labels


def labels_in(cells: Sequence[str], separator: str) -> tuple[str, ...]:
    """The labels in a row's cells: one in each, or, with a separator, any number of different ones in the only cell."""
    if not separator:
        return tuple(cells)
    [cell] = cells
    return tuple(dict.fromkeys(part.strip() for part in cell.split(separator) if part.strip()))


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def rows_of(path: Path) -> list[list[str]]:
    """What `write_table` wrote, without its header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]
