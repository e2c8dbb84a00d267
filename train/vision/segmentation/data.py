"""Images with label maps for the training and evaluation of semantic segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from lightning.pytorch import LightningDataModule
from pydantic import Field, model_validator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from handlers.vision.transform import ImageTransform
from train.core.config import AbsolutePath, ExperimentError, StrictModel
from train.core.loading import MAX_LOADERS, loaders
from train.core.splitting import hold_out
from train.vision.annotated_split import AnnotatedSplit
from train.vision.images import read_file
from train.vision.reduction import for_size, read_reduced, reduce_mask
from train.vision.segmentation.label_maps import IGNORE, LabelledFiles, LabelledImage, from_coco, from_maps

Item = tuple[Tensor, Tensor]
# Transforms an image together with its label map to the network's size: tv_tensors in, tv_tensors out.
Augment = Callable[[tv_tensors.Image, tv_tensors.Mask], tuple[tv_tensors.Image, tv_tensors.Mask]]


class LabelSource(StrictModel):
    """For COCO: images and annotations. For PNG label maps: images and maps."""

    images: AbsolutePath = Field(description="a folder of images")
    annotations: AbsolutePath | None = Field(
        default=None, description="a JSON file in COCO's format, with segmentations"
    )
    maps: AbsolutePath | None = Field(
        default=None, description="a folder of PNGs named like the images, with the class of each pixel; 255 for none"
    )

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        if (self.annotations is None) == (self.maps is None):
            raise ValueError("wanted either annotations (a COCO file) or maps (a folder of PNG label maps)")
        return self

    @property
    def name(self) -> str:
        return (self.annotations or self.maps or self.images).name


class LabelSettings(LabelSource):
    """The user's own images. The validation set is a source of its own or a random share of the images."""

    RENAMED: ClassVar[dict[str, str]] = {"validation_part": "validation_share"}

    labels: list[str] | None = Field(default=None, description="names of the numbers in PNG maps; the background first")
    validation: LabelSource | None = Field(default=None, description="chooses the best checkpoint")
    test: LabelSource | None = Field(default=None, description="what is measured on; by default what validates")
    validation_share: float = Field(
        default=0.2, gt=0, lt=1, description="share of the images for validation, without a separate source"
    )
    decode: bool = Field(default=True, description="read every image whole before training, to find broken ones")
    on_problem: Literal["skip", "fail"] = Field(default="skip", description="what a bad image or annotation does")
    workers: int | None = Field(
        default=None, ge=0, le=MAX_LOADERS, description="processes that prepare batches; by default by cores"
    )

    @model_validator(mode="after")
    def names_of_numbers(self) -> Self:
        if self.labels is not None and self.annotations is not None:
            raise ValueError("labels: not allowed with a COCO file, which names its own classes")
        if self.labels is None and self.maps is not None:
            raise ValueError("labels: wanted a name for each number in the label maps, the background first")
        if self.labels is not None and not 2 <= len(self.labels) <= IGNORE:
            raise ValueError(f"labels: wanted 2 to {IGNORE} names; got {len(self.labels)}")
        return self

    def split(self, seed: int) -> LabelSplit:
        """Read and check all sources; the same seed gives the same split. Raises ExperimentError depending on
        `on_problem`.
        """
        files = self.read(self, self.labels)
        problems = {self.name: files.problems}
        if self.validation:
            others = self.read(self.validation, files.labels)
            training, validation = files.images, others.images
            problems[self.validation.name] = others.problems
        else:
            training, validation = hold_out(files.images, self.validation_share, seed)
        test = validation
        if self.test:
            others = self.read(self.test, files.labels)
            test = others.images
            problems[self.test.name] = others.problems
        split = LabelSplit(files.labels, training, validation, test, problems)
        split.check(self.on_problem == "fail")
        return split

    def read(self, source: LabelSource, labels: list[str] | None) -> LabelledFiles:
        return read_once(source.annotations, source.maps, source.images, self.decode, tuple(labels or ()))


# Cached, because every stage of a run reads the data.
@lru_cache(maxsize=4)
def read_once(
    annotations: Path | None, maps: Path | None, images: Path, decode: bool, labels: tuple[str, ...]
) -> LabelledFiles:
    if annotations is not None:
        return from_coco(annotations, images, decode, list(labels) or None)
    if maps is None:
        raise ExperimentError(f"{images} has neither annotations nor maps")
    return from_maps(maps, images, decode, list(labels))


class LabelSplit(AnnotatedSplit[LabelledImage]):
    def check(self, strict: bool) -> None:
        super().check(strict)
        for part, least in (("training", 2), ("validation", 1), ("test", 1)):
            found = len(self.parts[part])
            if found < least:
                raise ExperimentError(f"{found} {part} images; wanted {least} or more{self.left_out}")


class TrainingImages(Dataset[Item]):
    """(normalised image (3, H, W), label map (H, W) int64), augmented and at the network's input size."""

    def __init__(self, images: Sequence[LabelledImage], transform: ImageTransform, augment: Augment) -> None:
        self.images = images
        self.transform = transform
        self.augment = augment
        self.reduced = for_size(*transform.output_size)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Item:
        labelled = self.images[index]
        labels_HW = labelled.label_map()
        image = read_reduced(labelled.path, (labels_HW.shape[0], labels_HW.shape[1]), self.reduced)
        image, mask = self.augment(image, reduce_mask(labels_HW, self.reduced))
        return self.transform.normalise(image.as_subclass(Tensor)), mask.as_subclass(Tensor).long()


class MeasuredImages(Dataset[Item]):
    """(image uint8 (3, H, W), label map (H, W) int64) at the image's own size, as in serving."""

    def __init__(self, images: Sequence[LabelledImage]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Item:
        labelled = self.images[index]
        return read_file(labelled.path), torch.from_numpy(labelled.label_map()).long()


class LabelMapData(LightningDataModule):
    """Training batches are (images (B, 3, H, W), label maps (B, H, W)); evaluation batches are lists of items."""

    def __init__(
        self, split: LabelSplit, transform: ImageTransform, augment: Augment, batch_size: int, workers: int | None
    ) -> None:
        super().__init__()
        self.training = TrainingImages(split.training, transform, augment)
        self.validation = MeasuredImages(split.validation)
        self.test = MeasuredImages(split.test)
        self.batch_size = batch_size
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Item]:
        # A last batch of one image would give batch norms over pooled features a single value per channel.
        return self.loader(self.training, shuffle=True, drop_last=len(self.training) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Item]:
        return self.loader(self.validation, collate_fn=list)

    def test_dataloader(self) -> DataLoader[Item]:
        return self.loader(self.test, collate_fn=list)

    def loader(self, images: Dataset[Item], **options: Any) -> DataLoader[Item]:
        workers = loaders(self, self.workers)
        return DataLoader(
            images,
            self.batch_size,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )
