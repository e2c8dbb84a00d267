"""Labelled texts of the user's own: read from a file or a dataset's folder, checked row by row, and split."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, load_dataset, load_from_disk
from datasets.exceptions import DatasetGenerationError
from pydantic import Field
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from train.core.config import AbsolutePath, ExperimentError, StrictModel

DELIMITERS = {".csv": ",", ".tsv": "\t"}
READERS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}
SHOWN = 5  # rows named for each thing that is wrong
PROBLEM = "problem of the row"  # a column of our own, beside a table's


@dataclass(frozen=True)
class Example:
    """labels: one, or any number for a multi-label model. group: see `TextData.group_column`; "" without one."""

    text: str
    labels: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True)
class Row:
    """A row as it is in its file. labels: None where they are missing. problem: why it cannot be read."""

    text: Any
    labels: list[str] | None
    group: str = ""
    problem: str = ""


@dataclass
class Part:
    """The rows of one source that can be used. left_out: what is wrong with the others → their numbers, from 1."""

    examples: list[Example] = field(default_factory=list)
    left_out: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, name: str) -> str:
        """A note about the rows that are left out."""
        number = sum(map(len, self.left_out.values()))
        reasons = [
            f"{len(rows)} {what} (row {', '.join(map(str, rows[:SHOWN]))}{', …' if len(rows) > SHOWN else ''})"
            for what, rows in self.left_out.items()
        ]
        return f"{name}: {number} of {number + len(self.examples)} rows are left out: {'; '.join(reasons)}"


@dataclass(frozen=True)
class Texts:
    """labels: the classes, by their index. left_out: what was wrong with rows of any part → how many; notes: the same
    for people, with the rows' numbers. group: what a group of the examples is called, where they have groups."""

    labels: list[str]
    train: list[Example]
    validation: list[Example]
    test: list[Example]
    left_out: dict[str, int]
    notes: list[str]
    multi_label: bool
    group: str | None


class TextData(StrictModel):
    """train: a .csv, .tsv, .json, .jsonl or .parquet file, or a folder that `datasets` has saved, splits and all.

    validation, test: further such files; what is missing is split off the training data by its share, each class in
    proportion, the same way for the same seed.
    label_separator: between the labels of one text, for a multi-label model; lists of labels need none.
    group_column: what texts have in common, such as their author: those of one group stay in one split together, and
        the scores are given for each group of the test as well.
    labels: the classes, in their order; by default all that are in the training data, sorted.
    """

    train: AbsolutePath
    validation: AbsolutePath | None = None
    test: AbsolutePath | None = None
    text_column: str = "text"
    label_column: str = "label"
    group_column: str | None = None
    multi_label: bool = False
    label_separator: str | None = Field(default=None, min_length=1)
    labels: tuple[str, ...] | None = None
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    test_share: float = Field(default=0.1, gt=0, lt=1)

    def read(self, seed: int) -> Texts:
        """All parts, without bad rows; ExperimentError for a file, column or part that is not there."""
        sources = self.sources()
        rows = {name: self.rows(name, source) for name, source in sources.items()}
        known = list(self.labels or sorted({label for row in rows["train"] for label in row.labels or ()}))
        if len(known) < 2:
            raise ExperimentError(f"data.{self.label_column}: wanted at least two classes; got {known}")
        parts = {name: self.check(found, set(known)) for name, found in rows.items()}
        left_out: Counter[str] = Counter()
        for part in parts.values():
            left_out.update({what: len(numbers) for what, numbers in part.left_out.items()})
        train = parts["train"].examples
        found = {name: part.examples for name, part in parts.items()}
        for name, share in (("test", self.test_share), ("validation", self.validation_share)):
            if name not in found:
                train, found[name] = split(train, share, seed, name)
        for name, examples in {**found, "train": train}.items():
            if not examples:
                raise ExperimentError(f"data: no usable row for {name}")
        notes = [part.note(f"{name} data") for name, part in parts.items() if part.left_out]
        return Texts(
            labels=known,
            train=train,
            validation=found["validation"],
            test=found["test"],
            left_out=dict(left_out),
            notes=notes,
            multi_label=self.multi_label,
            group=self.group_column,
        )

    def sources(self) -> dict[str, Dataset]:
        loaded = load(self.train, "train")
        sources = dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}
        if "train" not in sources:
            raise ExperimentError(f"data.train: {self.train} has no split `train`; it has {', '.join(sources)}")
        chosen = {name: sources[name] for name in ("train", "validation", "test") if name in sources}
        for name, given in (("validation", self.validation), ("test", self.test)):
            if given is not None:
                found = load(given, name)
                chosen[name] = found if isinstance(found, Dataset) else found.get(name, next(iter(found.values())))
        return chosen

    def rows(self, part: str, source: Dataset) -> list[Row]:
        """Every row as it is there."""
        wanted = [self.text_column, self.label_column, *([self.group_column] if self.group_column else [])]
        for column in wanted:
            if column not in source.column_names:
                raise ExperimentError(
                    f"data: the {part} data has no column {column!r}; it has {', '.join(source.column_names)}"
                )
        feature = source.features[self.label_column]
        inner = getattr(feature, "feature", feature)  # of a column of lists
        names = inner.names if isinstance(inner, ClassLabel) else None
        labels = [self.labels_of(value, names) for value in source[self.label_column]]
        count = len(labels)
        groups = (
            ["" if value is None else str(value) for value in source[self.group_column]]
            if self.group_column
            else [""] * count
        )
        problems = source[PROBLEM] if PROBLEM in source.column_names else [""] * count
        return [Row(*row) for row in zip(source[self.text_column], labels, groups, problems, strict=True)]

    def labels_of(self, value: Any, names: list[str] | None) -> list[str] | None:
        if isinstance(value, str) and self.label_separator:
            value = [part for part in value.split(self.label_separator) if part.strip()]
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        values = value if isinstance(value, list) else [value]
        if names is not None:
            # ClassLabel marks a label that is not known by -1.
            return None if any(index < 0 for index in values) else [names[index] for index in values]
        return [str(each).strip() for each in values]

    def check(self, rows: Sequence[Row], known: set[str]) -> Part:
        part = Part()
        for number, row in enumerate(rows, start=1):
            if row.problem:
                part.left_out[row.problem].append(number)
            elif row.text is None or not str(row.text).strip():
                part.left_out["without text"].append(number)
            elif row.labels is None:
                part.left_out["without label"].append(number)
            elif unknown := [label for label in row.labels if label not in known]:
                part.left_out[f"with the unknown label {unknown[0]!r}"].append(number)
            elif len(row.labels) != 1 and not self.multi_label:
                part.left_out["with more than one label, or none"].append(number)
            else:
                part.examples.append(Example(str(row.text), tuple(row.labels), row.group))
        return part


def read_table(path: Path) -> Dataset:
    """A CSV or TSV file, its first row the columns' names. Every cell is text as it is written: 0042 is not 42.

    A row with more or fewer cells than there are columns says so in the column PROBLEM: a comma inside a text that is
    not quoted would shift the cells, and the text would be cut without a word.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=DELIMITERS[path.suffix.lower()], strict=True)
        try:
            header = next(reader, [])
            rows = [row for row in reader if row]
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None
    if doubled := [name for name, count in Counter(header).items() if count > 1]:
        raise ValueError(f"the column {doubled[0]!r} is there twice")
    wrong = [f"with {len(row)} cells under {len(header)} columns" if len(row) != len(header) else "" for row in rows]
    columns = {
        name: [None if wrong[number] else row[index] or None for number, row in enumerate(rows)]
        for index, name in enumerate(header)
    }
    return Dataset.from_dict({**columns, PROBLEM: wrong})


def load(path: Path, part: str) -> Dataset | DatasetDict:
    """The rows of a file or of a folder that `datasets` has saved."""
    try:
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            return load_from_disk(str(path))
        if path.is_dir():
            return load_dataset(str(path))
        ending = path.suffix.lower()
        if ending not in {*DELIMITERS, *READERS}:
            wanted = ", ".join([*DELIMITERS, *READERS])
            raise ExperimentError(f"data.{part}: wanted one of {wanted}, or a folder; got {str(path)!r}")
        if not path.is_file():
            raise ExperimentError(f"data.{part}: no file {str(path)!r}")
        return (
            read_table(path)
            if ending in DELIMITERS
            else load_dataset(READERS[ending], data_files=str(path), split="train")
        )
    except (DatasetGenerationError, FileNotFoundError, ValueError) as error:
        cause = error.__cause__ or error
        raise ExperimentError(f"data.{part}: {path} cannot be read: {str(cause).splitlines()[0]}") from None


def split(examples: list[Example], share: float, seed: int, name: str) -> tuple[list[Example], list[Example]]:
    """(the rows left, the rows taken), each class in proportion; classes too rare for that go by chance together.

    Where rows have groups, whole groups are taken, whatever their classes.
    """
    groups = [example.group or f"row {number}" for number, example in enumerate(examples)]
    if len(set(groups)) > 1 and any(example.group for example in examples):
        left, taken = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(examples, groups=groups))
        return [examples[i] for i in left], [examples[i] for i in taken]
    counts = Counter(example.labels for example in examples)
    kinds = [example.labels if counts[example.labels] > 1 else () for example in examples]
    try:
        if Counter(kinds).get((), 2) < 2:
            kinds[kinds.index(())] = counts.most_common(1)[0][0]
        left, taken = train_test_split(examples, test_size=share, random_state=seed, stratify=kinds)
    except ValueError:
        if len(examples) < 2:
            raise ExperimentError(f"data: {len(examples)} usable rows are too few to split off a {name} part") from None
        print(f"{name} data: too few rows for every class to be in it; split by chance")
        left, taken = train_test_split(examples, test_size=share, random_state=seed)
    return left, taken
