"""Batches of images and labels: augmented and shuffled for training, each image once for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from rich import print as say
from rich.markup import escape
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from handlers.vision.transform import ImageTransform
from train.core.config import ExperimentError
from train.core.data_file import shown
from train.core.file_list import Example, FileList
from train.core.loading import loaders
from train.vision.classification.data import DataSettings
from train.vision.images import Read, Unreadable, read_image

# Neighbours tried in place of an unreadable image. A folder that has disappeared altogether ends the training.
TRIES = 100


class Batch(NamedTuple):
    """images: uint8 (N, 3, H, W). labels: int64 class indices (N, tasks); for multi-label data (N, classes), 1 for each
    class that applies. positions: int64 (N,), indices into the split's list.

    lost: number of images of this batch that could not be read.
    """

    images: Tensor
    labels: Tensor
    positions: Tensor
    lost: int


class Item(NamedTuple):
    """One image of a batch; `image` is None if it could not be read."""

    image: Tensor | None
    labels: Tensor
    position: int
    lost: int


class Images(Dataset[Item]):
    """Images of one split, ready for a batch. Images that have become unreadable are reported and skipped.

    transform: uint8 (3, H, W) of any size → uint8 (3, height, width).
    side: as for `read_image`.
    replace: use the next readable image instead of an unreadable one, so that batches keep their size.
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
                say(f"[red]skipped[/red] {escape(shown(self.files[position]))}: {escape(shown(error))}")
                lost += 1
                continue
            return Item(self.transform(image), self.labels[position], position, lost)
        return Item(None, self.labels[index], index, lost)

    def seen(self, position: int) -> Tensor:
        """The image as input to the network, uint8 (3, height, width)."""
        return self.transform(read_image(self.read(self.files[position]), self.side))

    def candidates(self, index: int) -> Iterator[int]:
        tries = min(TRIES, len(self)) if self.replace else 1
        return ((index + step) % len(self) for step in range(tries))


def collate(items: Sequence[Item]) -> Batch:
    """Collate the readable images into a batch, which is empty if there are none."""
    lost = sum(item.lost for item in items)
    read = [(item.image, item.labels, item.position) for item in items if item.image is not None]
    if not read:
        empty = torch.empty(0, dtype=torch.int64)
        return Batch(torch.empty(0, 3, 1, 1, dtype=torch.uint8), empty, empty, lost)
    images, labels, positions = zip(*read, strict=True)
    return Batch(torch.stack(images), torch.stack(labels), torch.tensor(positions), lost)


class EvaluationBatches(Sampler[list[int]]):
    """Yields every image once, in batches of about `size` over all processes; each process gets its part of a batch.

    All processes get the same number of batches. Unlike torch's DistributedSampler, no image is repeated, so metrics
    over several processes equal those of a single one.
    """

    def __init__(self, length: int, size: int, rank: int = 0, processes: int = 1) -> None:
        count = max(1, -(-length // size))
        self.batches = [part[rank::processes].tolist() for part in np.array_split(np.arange(length), count)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class ImageData(LightningDataModule):
    """transform: for evaluation and serving. augmentation: used instead in training. batch_size: per process."""

    shares_itself = True  # shares the images among processes itself, because Lightning would pad

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
        """This process's rank and the number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def held_out(self) -> str:
        """The split to test on: the validation split if there is no test split."""
        return "test" if self.listed.of("test") else "validation"

    def images(self, split: str, geometry: Callable[[Tensor], Tensor] | None = None) -> Images:
        """Images prepared for training, or for any other split for evaluation; `geometry` overrides the preparation."""
        examples, read = self.listed.of(split), self.settings.reader()
        if split == "train":
            side = 2 * max(self.transform.output_size)
            return Images(self.listed, examples, read, self.augmentation, side, replace=True)
        return Images(self.listed, examples, read, geometry or self.transform.geometry)

    def train_dataloader(self) -> DataLoader[Any]:
        images = self.images("train")
        rank, processes = self.share
        # A smaller last batch would weigh as much as a full one, and a single image breaks batch norm.
        drop = len(images) >= self.batch_size * processes
        sampler: DistributedSampler[Item] = DistributedSampler(
            images, processes, rank, shuffle=True, seed=self.seed, drop_last=drop
        )
        return DataLoader(images, self.batch_size, sampler=sampler, drop_last=drop, **self.loading())

    def evaluation(self, split: str, geometry: Callable[[Tensor], Tensor] | None = None) -> DataLoader[Any]:
        """A loader of every image of `split`, once and in order. geometry: overrides the preparation for evaluation."""
        images = self.images(split, geometry)
        rank, processes = self.share
        if len(images) < processes:
            raise ExperimentError(f"data: {len(images)} images for {split} are too few for {processes} processes")
        batches = EvaluationBatches(len(images), self.batch_size * processes, rank, processes)
        return DataLoader(images, batch_sampler=batches, **self.loading())

    def val_dataloader(self) -> DataLoader[Any]:
        return self.evaluation("validation")

    def loading(self) -> dict[str, Any]:
        """Loader arguments for this machine: one persistent worker per core that the training leaves free."""
        workers = loaders(self, self.settings.workers)
        options: dict[str, Any] = {"prefetch_factor": 4, "persistent_workers": True} if workers else {}
        return {"num_workers": workers, "pin_memory": torch.cuda.is_available(), "collate_fn": collate, **options}
