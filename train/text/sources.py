"""Reads files and folders of labelled texts, keeping texts and labels exactly as they are written."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset, load_dataset_builder, load_from_disk
from datasets.exceptions import DatasetGenerationError
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.json.json import Json
from datasets.packaged_modules.parquet.parquet import Parquet

from bounded_yaml import reader
from bounded_yaml.reader import UnreadableYaml
from train.core.config import ExperimentError
from train.core.data_file import MAX_TABLE_BYTES, check_saved, problem, read_bytes, shown
from train.core.table import DELIMITERS, MAX_CELLS, MAX_COLUMNS, read_table
from train.text import parquet_size

PROBLEM = "problem of the row"  # column added to those of a table: why a row cannot be used, or ""
JSON = (".json", ".jsonl")
PARQUET = ".parquet"
SUFFIXES = (*DELIMITERS, *JSON, PARQUET)
DESCRIPTIONS = ("README.md", ".huggingface.yaml")  # in which a folder can declare its files
MAX_DESCRIPTION_BYTES = 256 << 10
WANTED = "wanted a list of objects, or one object per line"


def load(path: Path, part: str, delimiter: str | None) -> Dataset | DatasetDict:
    """The rows of a file, or of a folder that `datasets` has saved or that contains files as on the hub.

    part: for errors. delimiter: see `read_table`. Raises ExperimentError if the path does not exist or cannot be read.
    """
    try:
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            check_saved(path)
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
    except (DatasetGenerationError, OSError, ValueError, TypeError, KeyError) as error:
        cause = error.__cause__ or error
        told = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise ExperimentError(f"data.{part}: {path} cannot be read: {told}") from None


def read_folder(folder: Path, delimiter: str | None) -> Dataset | DatasetDict:
    """The splits that `datasets` finds among a folder's files, or that its README declares.

    Raises ValueError for other formats, of which some are read by running code, and for files outside of the folder.
    """
    for name in DESCRIPTIONS:
        check_description(folder / name)
    builder = load_dataset_builder(str(folder))
    if not isinstance(builder, (Csv, Json, Parquet)):
        raise ValueError(f"wanted files of {', '.join(SUFFIXES)}; got {type(builder).__name__.lower()}")
    if isinstance(builder, Csv):
        delimiter = delimiter or builder.config.sep
    found = builder.config.data_files or {}
    for file in (file for files in found.values() for file in files):
        if why := problem(folder, str(file)):
            raise ValueError(f"{shown(file)}: {why}")
    parts = {str(split): [read_file(Path(file), delimiter) for file in files] for split, files in found.items()}
    return DatasetDict({split: concatenate_datasets(files) for split, files in parts.items()})


def check_description(path: Path) -> None:
    """Check what a README declares before `datasets` reads it. Raises ValueError for files outside of its folder."""
    if not os.path.lexists(path):
        return
    lines = read_bytes(path, MAX_DESCRIPTION_BYTES).decode("utf-8").splitlines()
    if path.suffix == ".md":
        lines = lines[1 : lines.index("---", 1)] if lines[:1] == ["---"] and "---" in lines[1:] else []
    try:
        declared = reader.parse("\n".join(lines))
    except UnreadableYaml as error:
        raise ValueError(f"{path.name}: {error}") from None
    todo = [declared.get("configs")] if isinstance(declared, dict) else []
    while todo:
        value = todo.pop()
        if isinstance(value, (dict, list)):
            todo += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and ("://" in value or value[:1] in "/~" or ".." in Path(value).parts):
            raise ValueError(f"{path.name} declares {shown(value)!r}, which leads out of the folder")


def read_file(path: Path, delimiter: str | None) -> Dataset:
    """The rows of one file. Raises ValueError if it cannot be read."""
    match path.suffix.lower():
        case ".json" | ".jsonl":
            return from_json(path)
        case ".parquet":
            parquet_size.check(path)
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
    text = read_bytes(path, MAX_TABLE_BYTES).decode("utf-8-sig")
    if text.count(",") + text.count("[") + text.count("{") > MAX_CELLS:
        raise ValueError(f"it holds more than {MAX_CELLS} values")
    if text.lstrip()[:1] == "[":
        records = parsed(text, "")
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        records = [parsed(line, f"line {number}: ") for number, line in lines]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError(WANTED)
    names = list(dict.fromkeys(name for record in records for name in record))
    if len(names) > MAX_COLUMNS:
        raise ValueError(f"its objects have {len(names)} different keys; wanted {MAX_COLUMNS} at most")
    return Dataset.from_dict({name: cells([record.get(name) for record in records]) for name in names})


def parsed(text: str, place: str) -> Any:
    """A JSON text's value, with numbers as text. place: for errors, such as "line 3: ". Raises ValueError."""
    try:
        # NaN becomes None, because pandas writes it for missing values.
        return json.loads(
            text, parse_int=str, parse_float=str, parse_constant=lambda name: None, object_pairs_hook=once
        )
    except RecursionError:
        raise ValueError(f"{place}nested too deeply; {WANTED}") from None
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
