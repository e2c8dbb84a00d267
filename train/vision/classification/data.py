"""Batches of images and labels for training, from a data set of one's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from pydantic import Field, ValidationInfo, field_validator
from rich import print as say
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from handlers.vision.transform import ImageTransform
from train.core.config import AbsolutePath, ExperimentError, StrictModel
from train.core.file_list import Example, FileList
from train.core.labelled_files import FileReader, list_folders, list_table, table_path
from train.core.loading import cores, loaders
from train.core.run import Run, is_first_process
from train.vision.classification.hf_datasets import DatasetReader, is_dataset, list_dataset
from train.vision.images import SUFFIXES, Read, Unreadable, read_image, unreadable

# Images whose colours the mean and the deviation are measured on.
MEASURED = 512
WAIT_S = 0.5
# Neighbours that may stand in for an unreadable image; a folder that is gone altogether ends the training.
TRIES = 100


class DataSettings(StrictModel):
    """Where the images are and how they come in batches."""

    RENAMED: ClassVar[dict[str, str]] = {"validation": "validation_share", "test": "test_share"}

    folder: AbsolutePath = Field(
        description="of class folders, of split folders that hold them, or a Hugging Face dataset"
    )
    labels: Path | None = Field(default=None, description="a CSV file beside the images: file,<task>…[,split]")
    tasks: list[str] | None = Field(default=None, description="the columns to learn; by default all of a CSV file")
    separator: str = Field(
        default="", description="between the labels of a cell of the CSV file, where an image may have several or none"
    )
    validation_share: float = Field(default=0.15, gt=0, lt=1, description="part of the images, where no split is given")
    test_share: float = Field(
        default=0.15, ge=0, lt=1, description="the same for the test; 0: the test is on the validation's"
    )
    check: bool = Field(default=True, description="every file, before the first epoch")
    workers: int | None = Field(default=None, ge=0, description="that load images, a process; by default by the cores")

    def reader(self) -> Read:
        return DatasetReader(self.folder) if is_dataset(self.folder) else FileReader(self.folder)

    @field_validator("labels")
    @classmethod
    def found(cls, labels: Path | None, info: ValidationInfo) -> Path | None:
        return table_path(info.data["folder"], labels) if labels is not None and "folder" in info.data else labels

    def listed(self) -> FileList:
        """All images with their labels, not yet checked or divided. Raises ExperimentError."""
        if self.separator and (self.labels is None or is_dataset(self.folder)):
            raise ExperimentError("data.separator: wanted a CSV file, data.labels, whose cells hold several labels")
        if is_dataset(self.folder):
            return list_dataset(DatasetReader(self.folder), self.tasks)
        if self.labels is None:
            return list_folders(self.folder, SUFFIXES)
        return list_table(self.folder, self.labels, self.tasks, separator=self.separator)

    def prepare(self, run: Run, seed: int, transform: ImageTransform) -> tuple[FileList, dict[str, Any]]:
        """The run's images and data.json: listed, checked, divided and measured once, by the first process.

        They stay with the run, so that what was held out stays so when it is resumed.
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
            time.sleep(WAIT_S)  # torchrun ends this process should the first one fail
        return FileList.read(folder)


def report(listed: FileList) -> None:
    """Name what was left out, the first ten of it; all are in the run's unreadable.csv."""
    if listed.bad:
        say(f"{len(listed.bad)} files left out of {len(listed.bad) + len(listed.examples)}:")
        for file, reason in list(listed.bad.items())[:10]:
            print(f"  {file}: {reason}")
        if len(listed.bad) > 10:
            print(f"  … and {len(listed.bad) - 10} more: data/unreadable.csv in the run's folder")


def colours(
    examples: Sequence[Example], read: Read, transform: ImageTransform, seed: int
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, of images in [0, 1], over pixels of up to MEASURED images."""
    chosen = np.random.default_rng(seed).permutation(len(examples))[:MEASURED]
    count, total, squares = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for number in chosen:
        try:
            image = read_image(read(examples[number].file))
        except (Unreadable, OSError):
            continue  # named when its turn comes in training
        pixels = transform.geometry(image).double().flatten(1) / 255
        count += pixels.shape[1]
        total += pixels.sum(dim=1)
        squares += pixels.square().sum(dim=1)
    if not count:
        raise ExperimentError(f"data: none of {len(chosen)} images for training could be read")
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(1e-6).sqrt()
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]


class Batch(NamedTuple):
    """images: uint8 (N, 3, H, W). labels: int64 (N, tasks), class indices; of a multi-label list (N, classes), 1 for
    each that applies. positions: int64 (N,), in the list of the split.

    lost: how many images that belong here could not be read.
    """

    images: Tensor
    labels: Tensor
    positions: Tensor
    lost: int


class Item(NamedTuple):
    """One image of a batch; image is None where it could not be read."""

    image: Tensor | None
    labels: Tensor
    position: int
    lost: int


class Images(Dataset[Item]):
    """Images of one split as they go into a batch. One that has become unreadable is named, and is left out.

    transform: uint8 (3, H, W) of any size → uint8 (3, height, width).
    side: as read_image's.
    replace: put the next readable image in the place of one that is not, so that batches keep their size.
    """

    def __init__(
        self,
        listed: FileList,
        examples: Sequence[Example],
        read: Read,
        transform: Callable[[Tensor], Tensor],
        side: int | None = None,
        replace: bool = False,
    ) -> None:
        self.files = [example.file for example in examples]
        self.labels = torch.tensor([listed.indices(example) for example in examples])
        self.read = read
        self.transform = transform
        self.side = side
        self.replace = replace

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        lost = 0
        for position in self.candidates(index):
            try:
                image = read_image(self.read(self.files[position]), self.side)
            except (Unreadable, OSError) as error:
                say(f"[red]left out[/red] {self.files[position]}: {error}")
                lost += 1
                continue
            return Item(self.transform(image), self.labels[position], position, lost)
        return Item(None, self.labels[index], index, lost)

    def seen(self, position: int) -> Tensor:
        """The image as the network sees it, uint8 (3, height, width)."""
        return self.transform(read_image(self.read(self.files[position]), self.side))

    def candidates(self, index: int) -> Iterator[int]:
        tries = min(TRIES, len(self)) if self.replace else 1
        return ((index + step) % len(self) for step in range(tries))


def collate(items: Sequence[Item]) -> Batch:
    """The images that could be read, as a batch; an empty one where none could."""
    lost = sum(item.lost for item in items)
    read = [(item.image, item.labels, item.position) for item in items if item.image is not None]
    if not read:
        empty = torch.empty(0, dtype=torch.int64)
        return Batch(torch.empty(0, 3, 1, 1, dtype=torch.uint8), empty, empty, lost)
    images, labels, positions = zip(*read, strict=True)
    return Batch(torch.stack(images), torch.stack(labels), torch.tensor(positions), lost)


class EvaluationBatches(Sampler[list[int]]):
    """Every image once, in batches of about `size` over all processes, each process with its share of each batch.

    Processes have equally many batches, and, unlike with torch's DistributedSampler, no image comes twice: metrics
    over several processes are those of one.
    """

    def __init__(self, length: int, size: int, rank: int = 0, processes: int = 1) -> None:
        count = max(1, -(-length // size))
        self.batches = [part[rank::processes].tolist() for part in np.array_split(np.arange(length), count)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class ImageData(LightningDataModule):
    """transform: of evaluation, and of serving. augmentation: of training, in its place. batch_size: per process."""

    shares_itself = True  # among processes: Lightning need not, and pads

    def __init__(
        self,
        listed: FileList,
        settings: DataSettings,
        transform: ImageTransform,
        augmentation: Callable[[Tensor], Tensor],
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.listed = listed
        self.settings = settings
        self.transform = transform
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.seed = seed

    @property
    def share(self) -> tuple[int, int]:
        """This process's number and how many there are."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def held_out(self) -> str:
        """The split to test on: validation where none was kept for it."""
        return "test" if self.listed.of("test") else "validation"

    def images(self, split: str, geometry: Callable[[Tensor], Tensor] | None = None) -> Images:
        """As training sees them or, of another split, as evaluation does, or as `geometry` makes them."""
        examples, read = self.listed.of(split), self.settings.reader()
        if split == "train":
            side = 2 * max(self.transform.output_size)
            return Images(self.listed, examples, read, self.augmentation, side, replace=True)
        return Images(self.listed, examples, read, geometry or self.transform.geometry)

    def train_dataloader(self) -> DataLoader[Any]:
        images = self.images("train")
        rank, processes = self.share
        # A last, smaller batch would pull as hard as a whole one; one of a single image breaks batch-norm.
        drop = len(images) >= self.batch_size * processes
        sampler: DistributedSampler[Item] = DistributedSampler(
            images, processes, rank, shuffle=True, seed=self.seed, drop_last=drop
        )
        return DataLoader(images, self.batch_size, sampler=sampler, drop_last=drop, **self.loading())

    def evaluation(self, split: str, geometry: Callable[[Tensor], Tensor] | None = None) -> DataLoader[Any]:
        """Every image of `split` once, in the order of the list. geometry: in the place of evaluation's own."""
        images = self.images(split, geometry)
        rank, processes = self.share
        if len(images) < processes:
            raise ExperimentError(f"data: {len(images)} images for {split} cannot be shared by {processes} processes")
        batches = EvaluationBatches(len(images), self.batch_size * processes, rank, processes)
        return DataLoader(images, batch_sampler=batches, **self.loading())

    def val_dataloader(self) -> DataLoader[Any]:
        return self.evaluation("validation")

    def loading(self) -> dict[str, Any]:
        """Right for the machine: a worker a core that the training leaves free, which live as long as it."""
        workers = loaders(self, self.settings.workers)
        options: dict[str, Any] = {"prefetch_factor": 4, "persistent_workers": True} if workers else {}
        return {"num_workers": workers, "pin_memory": torch.cuda.is_available(), "collate_fn": collate, **options}
