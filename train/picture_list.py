"""The list of a data set's pictures: which file belongs to which classes and to which split."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from train.experiment import ExperimentError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Example:
    """file: as its source names it. labels: a class for each task. split: one of SPLITS, or "" while undecided."""

    file: str
    labels: tuple[str, ...]
    split: str = ""


@dataclass
class PictureList:
    """tasks: each with its classes in the order of their index. bad: what was left out, with the reason."""

    tasks: dict[str, list[str]]
    examples: list[Example]
    bad: dict[str, str] = field(default_factory=dict)

    def of(self, split: str) -> list[Example]:
        return [example for example in self.examples if example.split == split]

    def indices(self, example: Example) -> list[int]:
        """The index of the example's class in each task."""
        pairs = zip(self.tasks.values(), example.labels, strict=True)
        return [classes.index(label) for classes, label in pairs]

    def counts(self, split: str) -> dict[str, dict[str, int]]:
        """Pictures of each class, for each task."""
        examples = self.of(split)
        return {
            task: {name: Counter(example.labels[number] for example in examples)[name] for name in classes}
            for number, (task, classes) in enumerate(self.tasks.items())
        }

    def without(self, bad: dict[str, str]) -> PictureList:
        kept = [example for example in self.examples if example.file not in bad]
        return PictureList(self.tasks, kept, {**self.bad, **bad})

    def divided(self, validation: float, test: float, seed: int) -> PictureList:
        """Splits that are missing are drawn from those for training: the same share of every combination of classes.

        validation, test: their parts of the pictures that are to be divided. Raises ExperimentError when a split would
        be empty, or a class is in no picture for training.
        """
        shares = {name: share for name, share in (("validation", validation), ("test", test)) if not self.of(name)}
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, example in enumerate(self.examples):
            if example.split in ("", "train"):
                groups[example.labels].append(number)
        splits = [example.split or "train" for example in self.examples]
        rng = np.random.default_rng(seed)
        for labels in sorted(groups):
            members = rng.permutation(groups[labels]).tolist()
            left = len(members) - 1  # one stays for training
            for name, share in shares.items():
                # Drawn up or down by chance, so that many small classes fill their split as far as large ones do.
                count = min(left, int(len(members) * share + rng.random()))
                left -= count
                for number in (members.pop() for _ in range(count)):
                    splits[number] = name
        divided = PictureList(
            self.tasks,
            [replace(example, split=split) for example, split in zip(self.examples, splits, strict=True)],
            self.bad,
        )
        divided.check()
        return divided

    def check(self) -> None:
        problems = [f"no picture for {name}" for name in SPLITS[:2] if not self.of(name)]
        for task, counts in self.counts("train").items():
            problems += [f"{task}: no picture of {name!r} for training" for name, count in counts.items() if not count]
            if len(counts) < 2:
                problems.append(f"{task}: wanted two classes or more; got {', '.join(counts) or 'none'}")
        if problems:
            listed = "\n  ".join(problems)
            left_out = "".join(f"\n  left out: {file}: {why}" for file, why in list(self.bad.items())[:10])
            raise ExperimentError(f"data: {len(self.examples)} pictures\n  {listed}{left_out}")

    def write(self, folder: Path, **statistics: Any) -> None:
        """Write pictures.csv, unreadable.csv and, last, data.json with the classes, their counts and `statistics`."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [(example.split, example.file, *example.labels) for example in self.examples]
        write_table(folder / "pictures.csv", ("split", "file", *self.tasks), rows)
        write_table(folder / "unreadable.csv", ("file", "reason"), list(self.bad.items()))
        found = {
            "tasks": self.tasks,
            "pictures": {split: len(self.of(split)) for split in SPLITS},
            "unreadable": len(self.bad),
            "classes": {split: self.counts(split) for split in SPLITS},
            **statistics,
        }
        partial = folder / "data.json.partial"
        partial.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.rename(folder / "data.json")

    @classmethod
    def read(cls, folder: Path) -> tuple[PictureList, dict[str, Any]]:
        """What `write` wrote: the list, and data.json."""
        found = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        rows = read_table(folder / "pictures.csv")
        examples = [Example(row["file"], tuple(row[task] for task in found["tasks"]), row["split"]) for row in rows]
        bad = {row["file"]: row["reason"] for row in read_table(folder / "unreadable.csv")}
        return cls(found["tasks"], examples, bad), found


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
