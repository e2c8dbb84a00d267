"""Reads a user's own labelled texts from files or folders, checks every row, and splits them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict
from pydantic import Field
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from train.core.config import AbsolutePath, ExperimentError, StrictModel
from train.core.data_problems import MAX_KINDS
from train.core.file_list import MAX_CLASSES, label_problem
from train.text.sources import PROBLEM, load

SHOWN = 5  # row numbers shown for each problem
KINDS = {list: "a list", dict: "an object", bytes: "bytes"}  # that a Parquet file's column may contain instead of text


@dataclass(frozen=True)
class Example:
    """A text with its classes.

    labels: one, or any number for a multi-label model. group: see `TextData.group_column`; "" for none.
    """

    text: str
    labels: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a data source, unchecked. labels: None if missing. problem: why it cannot be read; "" if it can."""

    text: Any
    labels: list[str] | None
    group: str = ""
    problem: str = ""


@dataclass
class Part:
    """The usable rows of one data source. left_out: problem → numbers of the rows that have it, from 1."""

    examples: list[Example] = field(default_factory=list)
    left_out: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, name: str) -> str:
        """A line for people about the rows that are left out. name: of the data source."""
        number = sum(map(len, self.left_out.values()))
        reasons = [
            f"{len(rows)} {what} (row {', '.join(map(str, rows[:SHOWN]))}{', …' if len(rows) > SHOWN else ''})"
            for what, rows in self.left_out.items()
        ]
        return f"{name}: {number} of {number + len(self.examples)} rows are left out: {'; '.join(reasons)}"


@dataclass(frozen=True)
class Texts:
    """The usable texts, split into training, validation and test data.

    labels: the classes, by their index. left_out: problem → number of rows in any part that have it.
    notes: the same for people, with row numbers. group: name of the column with groups; None for none.
    """

    labels: list[str]
    train: list[Example]
    validation: list[Example]
    test: list[Example]
    left_out: dict[str, int]
    notes: list[str]
    multi_label: bool
    group: str | None


class TextData(StrictModel):
    """A user's own texts. The same seed gives the same splits, which keep all classes in proportion."""

    train: AbsolutePath = Field(
        description="a .csv, .tsv, .json, .jsonl or .parquet file, or a folder that `datasets` has saved or can load"
    )
    validation: AbsolutePath | None = Field(
        default=None, description="a file or folder of the same kinds; by default a split of `train`, or drawn from it"
    )
    test: AbsolutePath | None = Field(default=None, description="as for validation")
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="between the cells of a table; by default a tab in a .tsv file, otherwise a comma",
    )
    text_column: str = "text"
    label_column: str = "label"
    group_column: str | None = Field(
        default=None,
        description="column of groups that must not be in two splits, such as authors; the test reports each group too",
    )
    multi_label: bool = Field(default=False, description="whether a text can have any number of labels")
    label_separator: str | None = Field(
        default=None,
        min_length=1,
        description="between the labels in a cell, for a multi-label model; not needed for lists of labels",
    )
    labels: tuple[str, ...] | None = Field(
        default=None, description="the classes, by their index; by default all in the training data, sorted"
    )
    validation_share: float = Field(default=0.1, gt=0, lt=1, description="share of the training data to draw")
    test_share: float = Field(default=0.1, gt=0, lt=1, description="share of the training data to draw")

    def read(self, seed: int) -> Texts:
        """Read, check and split the data. Raises ExperimentError if a file or column is missing, or a part is empty."""
        sources = self.sources()
        rows = {name: self.rows(name, source) for name, source in sources.items()}
        train_part = self.check(rows["train"], set(self.labels) if self.labels else None)
        # Of usable rows only: a class without a text cannot be learnt.
        known = list(self.labels or sorted({label for each in train_part.examples for label in each.labels}))
        parts = {name: train_part if name == "train" else self.check(found, set(known)) for name, found in rows.items()}
        notes = [part.note(f"{name} data") for name, part in parts.items() if part.left_out]
        why = "".join(f"\n  {note}" for note in notes)
        if len(known) < 2:
            raise ExperimentError(f"data.{self.label_column}: wanted at least two classes; got {known}{why}")
        if len(known) > MAX_CLASSES:
            raise ExperimentError(f"data.{self.label_column}: {len(known)} classes; wanted {MAX_CLASSES} at most{why}")
        left_out: Counter[str] = Counter()
        for part in parts.values():
            left_out.update({what: len(numbers) for what, numbers in part.left_out.items()})
        train = parts["train"].examples
        found = {name: part.examples for name, part in parts.items()}
        for name, share in (("test", self.test_share), ("validation", self.validation_share)):
            if name not in found:
                if len(train) < 2:
                    raise ExperimentError(f"data: {len(train)} usable rows are too few to split off {name} data{why}")
                train, found[name] = split(train, share, seed, name)
        for name, examples in {**found, "train": train}.items():
            if not examples:
                raise ExperimentError(f"data: the {name} data has no usable rows{why}")
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
        """The data by part; always includes "train", and the other parts if they exist."""
        loaded = load(self.train, "train", self.delimiter)
        sources = dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}
        if "train" not in sources:
            raise ExperimentError(f"data.train: {self.train} has no split named train; it has {', '.join(sources)}")
        chosen = {name: sources[name] for name in ("train", "validation", "test") if name in sources}
        for name, given in (("validation", self.validation), ("test", self.test)):
            if given is not None:
                found = load(given, name, self.delimiter)
                chosen[name] = found if isinstance(found, Dataset) else found.get(name, next(iter(found.values())))
        return chosen

    def rows(self, part: str, source: Dataset) -> list[Row]:
        """All rows of a data source, unchecked. part: for errors. Raises ExperimentError if a column is missing."""
        wanted = [self.text_column, self.label_column, *([self.group_column] if self.group_column else [])]
        for column in wanted:
            if column not in source.column_names:
                found = ", ".join(repr(name) for name in source.column_names if name != PROBLEM)
                raise ExperimentError(f"data: the {part} data has no column {column!r}; it has {found or 'none'}")
        feature = source.features[self.label_column]
        inner = getattr(feature, "feature", feature)  # the items' type if the column contains lists
        names = inner.names if isinstance(inner, ClassLabel) else None
        labels = [self.labels_of(value, names) for value in source[self.label_column]]
        count = len(labels)
        groups = (
            ["" if value is None else str(value) for value in source[self.group_column]]
            if self.group_column
            else [""] * count
        )
        problems = source[PROBLEM] if PROBLEM in source.column_names else [""] * count
        texts = [text[0] if isinstance(text, list) and len(text) == 1 else text for text in source[self.text_column]]
        return [Row(*row) for row in zip(texts, labels, groups, problems, strict=True)]

    def labels_of(self, value: Any, names: list[str] | None) -> list[str] | None:
        """The labels in a cell; None if there are none. names: of the classes, if the cell contains their indices."""
        if isinstance(value, str) and self.label_separator:
            value = [part for part in value.split(self.label_separator) if part.strip()]
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        values = value if isinstance(value, list) else [value]
        if names is not None:
            # In `datasets`, -1 means that the label is unknown.
            return None if any(index < 0 for index in values) else [names[index] for index in values]
        return [str(each).strip() for each in values]

    def check(self, rows: Sequence[Row], known: set[str] | None) -> Part:
        """Separate usable rows from others. known: the classes; None if any label is one."""
        part = Part()
        for number, row in enumerate(rows, start=1):
            if row.problem:
                part.left_out[row.problem].append(number)
            elif isinstance(row.text, (list, dict, bytes)):
                part.left_out[f"with {KINDS[type(row.text)]} instead of text"].append(number)
            elif row.text is None or not str(row.text).strip():
                part.left_out["without text"].append(number)
            elif row.labels is None:
                part.left_out["without label"].append(number)
            elif odd := [why for label in row.labels if (why := label_problem(label))]:
                part.left_out[f"with a label that {odd[0]}"].append(number)
            elif unknown := [label for label in row.labels if known is not None and label not in known]:
                kind = f"with the unknown label {unknown[0][:80]!r}"
                part.left_out[kind if len(part.left_out) < MAX_KINDS else "with other unknown labels"].append(number)
            elif len(row.labels) != 1 and not self.multi_label:
                part.left_out["without exactly one label"].append(number)
            else:
                part.examples.append(Example(str(row.text), tuple(row.labels), row.group))
        return part


def split(examples: list[Example], share: float, seed: int, name: str) -> tuple[list[Example], list[Example]]:
    """(remaining examples, drawn examples), with all classes in proportion.

    Classes that are too rare for this are drawn together. If examples have groups, whole groups are drawn, whatever
    their classes. share: of the examples to draw. name: of the drawn part, for a message.
    """
    groups = [example.group or f"row {number}" for number, example in enumerate(examples)]
    if len(set(groups)) > 1 and any(example.group for example in examples):
        left, drawn = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(examples, groups=groups))
        return [examples[i] for i in left], [examples[i] for i in drawn]
    counts = Counter(example.labels for example in examples)
    strata = [example.labels if counts[example.labels] > 1 else () for example in examples]
    try:
        if strata.count(()) == 1:  # scikit-learn needs two of each
            strata[strata.index(())] = counts.most_common(1)[0][0]
        left, drawn = train_test_split(examples, test_size=share, random_state=seed, stratify=strata)
    except ValueError:
        print(f"{name} data: too few rows to include every class, so it is drawn at random")
        left, drawn = train_test_split(examples, test_size=share, random_state=seed)
    return left, drawn
