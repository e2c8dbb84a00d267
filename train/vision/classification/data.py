"""The user's own images: where they are, which are readable, and how they are split."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator

from handlers.vision.transform import ImageTransform
from train.core.config import AbsolutePath, ExperimentError, StrictModel
from train.core.file_list import Example, FileList
from train.core.labelled_files import FileReader, list_folders, list_table, report, table_path
from train.core.loading import MAX_LOADERS, cores
from train.core.run import Run, is_first_process
from train.vision.classification.hf_datasets import DatasetReader, is_dataset, list_dataset
from train.vision.images import SUFFIXES, Read, Unreadable, read_image, unreadable

# Number of images used to measure the colours' mean and standard deviation.
MEASURED = 512
WAIT_S = 0.5


class DataSettings(StrictModel):
    """Where the images are, and how they are split and loaded."""

    RENAMED: ClassVar[dict[str, str]] = {"validation": "validation_share", "test": "test_share"}

    folder: AbsolutePath = Field(
        description="a folder of class folders, of split folders that contain them, or a Hugging Face dataset"
    )
    labels: Path | None = Field(
        default=None, description="a CSV file with the columns file,<task>…[,split]; files are relative to it"
    )
    tasks: list[str] | None = Field(default=None, description="the columns to learn; by default all of a CSV file")
    separator: str = Field(
        default="", description="separates the labels in a cell of the CSV file, if an image can have several or none"
    )
    validation_share: float = Field(
        default=0.15, gt=0, lt=1, description="share of the images, if the data has no split of its own"
    )
    test_share: float = Field(
        default=0.15, ge=0, lt=1, description="the same for the test; 0 tests on the validation images"
    )
    check: bool = Field(default=True, description="check every file before the first epoch")
    workers: int | None = Field(
        default=None,
        ge=0,
        le=MAX_LOADERS,
        description="loader processes per training process; depends on the cores by default",
    )

    def reader(self) -> Read:
        return DatasetReader(self.folder) if is_dataset(self.folder) else FileReader(self.folder)

    @field_validator("labels")
    @classmethod
    def found(cls, labels: Path | None, info: ValidationInfo) -> Path | None:
        return table_path(info.data["folder"], labels) if labels is not None and "folder" in info.data else labels

    def listed(self) -> FileList:
        """All images with their labels, not yet checked or split. Raises ExperimentError."""
        if self.separator and (self.labels is None or is_dataset(self.folder)):
            raise ExperimentError("data.separator: needs data.labels, a CSV file whose cells hold several labels")
        if is_dataset(self.folder):
            return list_dataset(DatasetReader(self.folder), self.tasks)
        if self.labels is None:
            return list_folders(self.folder, SUFFIXES)
        return list_table(self.folder, self.labels, self.tasks, separator=self.separator)

    def prepare(self, run: Run, seed: int, transform: ImageTransform) -> tuple[FileList, dict[str, Any]]:
        """The run's images and data.json: listed, checked, split and measured once, by the first process.

        Both are stored with the run, so that a resumed run holds out the same images.
        """
        folder = run.folder / "data"
        if (folder / "data.json").is_file():
            return FileList.read(folder)
        if is_first_process():
            listed = self.listed()
            if self.check:
                files = [example.file for example in listed.examples]
                listed = listed.without(unreadable(files, self.reader(), threads=cores()))
            report(listed)
            divided = listed.divided(self.validation_share, self.test_share, seed)
            mean, std = colours(divided.of("train"), self.reader(), transform, seed)
            divided.write(folder, mean=mean, std=std)
        while not (folder / "data.json").is_file():
            time.sleep(WAIT_S)  # torchrun ends this process if the first one fails
        return FileList.read(folder)


def colours(
    examples: Sequence[Example], read: Read, transform: ImageTransform, seed: int
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in [0, 1], over the pixels of up to MEASURED images."""
    chosen = np.random.default_rng(seed).permutation(len(examples))[:MEASURED]
    count, total, squares = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for number in chosen:
        try:
            image = read_image(read(examples[number].file))
        except (Unreadable, OSError):
            continue  # reported when training reads it
        pixels = transform.geometry(image).double().flatten(1) / 255
        count += pixels.shape[1]
        total += pixels.sum(dim=1)
        squares += pixels.square().sum(dim=1)
    if not count:
        raise ExperimentError(f"data: none of {len(chosen)} training images could be read")
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(1e-6).sqrt()
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]
