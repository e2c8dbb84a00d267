"""Reads files and folders of labelled texts, keeping texts and labels exactly as they are written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset, load_dataset_builder, load_from_disk
from datasets.exceptions import DatasetGenerationError
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.json.json import Json

from train.core.config import ExperimentError
from train.core.table import DELIMITERS, read_table

PROBLEM = "problem of the row"  # column added to those of a table: why a row cannot be used, or ""
JSON = (".json", ".jsonl")
PARQUET = ".parquet"
SUFFIXES = (*DELIMITERS, *JSON, PARQUET)
WANTED = "wanted a list of objects, or one object per line"


def load(path: Path, part: str, delimiter: str | None) -> Dataset | DatasetDict:
    """The rows of a file, or of a folder that `datasets` has saved or that contains files as on the hub.

    part: for errors. delimiter: see `read_table`. Raises ExperimentError if the path does not exist or cannot be read.
    """
    try:
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            return load_from_disk(str(path))
        if path.is_dir():
            return read_folder(path, delimiter)
        if path.suffix.lower() not in SUFFIXES:
            raise ExperimentError(f"data.{part}: wanted one of {', '.join(SUFFIXES)}, or a folder; got {str(path)!r}")
        if not path.is_file():
            raise ExperimentError(f"data.{part}: there is no file {str(path)!r}")
        return read_file(path, delimiter)
    except UnicodeDecodeError:
        raise ExperimentError(f"data.{part}: {path} is not UTF-8") from None
    except (DatasetGenerationError, FileNotFoundError, ValueError, TypeError) as error:
        cause = error.__cause__ or error
        raise ExperimentError(f"data.{part}: {path} cannot be read: {str(cause).splitlines()[0]}") from None


def read_folder(folder: Path, delimiter: str | None) -> Dataset | DatasetDict:
    """The splits that `datasets` finds among a folder's files, or that its README declares."""
    builder = load_dataset_builder(str(folder))
    if not isinstance(builder, (Csv, Json)):
        return load_dataset(str(folder))
    if isinstance(builder, Csv):
        delimiter = delimiter or builder.config.sep
    found = builder.config.data_files or {}
    parts = {str(split): [read_file(Path(file), delimiter) for file in files] for split, files in found.items()}
    return DatasetDict({split: concatenate_datasets(files) for split, files in parts.items()})


def read_file(path: Path, delimiter: str | None) -> Dataset:
    """The rows of one file. Raises ValueError if it cannot be read."""
    match path.suffix.lower():
        case ".json" | ".jsonl":
            return from_json(path)
        case ".parquet":
            return load_dataset("parquet", data_files=str(path), split="train")
    table = read_table(path, delimiter)
    problems = [table.problem(row) for row in table.rows]
    columns = {
        name: [None if problems[number] else row[place] or None for number, row in enumerate(table.rows)]
        for name, place in table.named.items()
    }
    return Dataset.from_dict({**columns, PROBLEM: problems})


def from_json(path: Path) -> Dataset:
    """The rows of a list of objects, or of one object per line. Numbers become text as written, so 1.0 is not 1.

    Raises ValueError if the file is neither.
    """
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip()[:1] == "[":
        records = parsed(text, "")
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        records = [parsed(line, f"line {number}: ") for number, line in lines]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError(WANTED)
    names = list(dict.fromkeys(name for record in records for name in record))
    return Dataset.from_dict({name: cells([record.get(name) for record in records]) for name in names})


def parsed(text: str, place: str) -> Any:
    """A JSON text's value, with numbers as text. place: for errors, such as "line 3: ". Raises ValueError."""
    try:
        # NaN becomes None, because pandas writes it for missing values.
        return json.loads(
            text, parse_int=str, parse_float=str, parse_constant=lambda name: None, object_pairs_hook=once
        )
    except ValueError as error:
        raise ValueError(f"{place}{error}; {WANTED}") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these keys and values. Raises ValueError if a key occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {doubled!r} occurs twice")
    return found


def cells(values: Sequence[Any]) -> list[Any]:
    """A column of texts, or of lists of texts if any value is a list, such as one of several labels.

    None stands for values that are missing or are objects.
    """
    lists = any(isinstance(value, list) for value in values)
    found: list[Any] = []
    for value in values:
        if value is None or isinstance(value, dict):
            found.append(None)
        elif lists:
            found.append([str(each) for each in (value if isinstance(value, list) else [value])])
        else:
            found.append(str(value))
    return found
