"""Hugging Face image datasets saved by `save_to_disk`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.core.config import ExperimentError
from train.core.data_file import check_saved, inside, read_bytes, shown
from train.core.file_list import Example, FileList
from train.core.labelled_files import ALIASES, natural


def is_dataset(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json"))


class DatasetReader:
    """Reads the encoded bytes of images by `<split>/<row>`, without decoding them."""

    def __init__(self, folder: Path) -> None:
        from datasets import Dataset, Image, load_from_disk

        try:
            check_saved(folder)
            loaded = load_from_disk(str(folder))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ExperimentError(f"data.folder: {folder} cannot be read: {shown(error)}") from None
        self.folder = folder
        self.parts: dict[str, Any] = {"all": loaded} if isinstance(loaded, Dataset) else dict(loaded)
        features = next(iter(self.parts.values())).features
        columns = [name for name, feature in features.items() if isinstance(feature, Image)]
        if len(columns) != 1:
            raise ExperimentError(f"data.folder: wanted exactly one image column in {folder}; got {columns or 'none'}")
        self.column = columns[0]
        self.features = features
        self.images = {
            name: part.select_columns([self.column]).cast_column(self.column, Image(decode=False))
            for name, part in self.parts.items()
        }

    def __call__(self, file: str) -> bytes:
        name, _, row = file.rpartition("/")
        stored = self.images[name][int(row)][self.column]
        if stored is None:
            raise OSError("the row has no image")
        data: bytes = stored["bytes"] or read_bytes(inside(self.folder, stored["path"]))
        return data


def list_dataset(reader: DatasetReader, tasks: Sequence[str] | None = None) -> FileList:
    """tasks: the columns to learn; by default those of type ClassLabel.

    Rows without a label are skipped and reported. Raises ExperimentError if there is no such column.
    """
    from datasets import ClassLabel

    features = reader.features
    chosen = list(tasks or [name for name, feature in features.items() if isinstance(feature, ClassLabel)])
    missing = [name for name in chosen if name not in features]
    if missing or not chosen:
        what = f"no column {', '.join(missing)}" if missing else "no column of type ClassLabel; name one in data.tasks"
        raise ExperimentError(f"data.tasks: {what}; the columns are {', '.join(features)}")
    examples: list[Example] = []
    bad: dict[str, str] = {}
    for part, rows in reader.parts.items():
        columns = [texts(rows[task], features[task]) for task in chosen]
        for number, labels in enumerate(zip(*columns, strict=True)):
            empty = [task for task, label in zip(chosen, labels, strict=True) if not label]
            if empty:
                bad[f"{part}/{number}"] = f"no label for {', '.join(empty)}"
            else:
                examples.append(Example(f"{part}/{number}", labels, ALIASES.get(part.lower(), "")))
    classes = {}
    for index, task in enumerate(chosen):
        used = {example.labels[index] for example in examples}
        known = getattr(features[task], "names", None) or sorted(used, key=natural)
        classes[task] = [name for name in known if name in used]
    return FileList(classes, examples, bad)


def texts(values: Sequence[Any], feature: Any) -> list[str]:
    """Labels as text, "" for a missing one, which `datasets` encodes as class -1."""
    names = getattr(feature, "names", None)
    if names is None:
        return ["" if value is None else str(value) for value in values]
    return ["" if value is None or value < 0 else names[value] for value in values]
