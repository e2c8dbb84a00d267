"""Images with boxes and masks from COCO files, for training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from train.core.config import AbsolutePath, ExperimentError, StrictModel
from train.core.loading import MAX_LOADERS, loaders
from train.core.splitting import hold_out
from train.vision import coco
from train.vision.annotated_split import AnnotatedSplit
from train.vision.coco import AnnotatedImage, CocoFile
from train.vision.reduction import Reduced, read_reduced, reduce_mask

Target = dict[str, Any]
Item = tuple[Tensor, dict[str, Tensor]]
# Transforms an image together with its annotations: tv_tensors in, tv_tensors out.
Augment = Callable[[tv_tensors.Image, Target], tuple[tv_tensors.Image, Target]]


class CocoSource(StrictModel):
    images: AbsolutePath = Field(description="the folder that the annotations' file names are relative to")
    annotations: AbsolutePath = Field(description="a JSON file in COCO's format")


class CocoSettings(CocoSource):
    """The user's own images. The validation set is a file of its own or a random share of the training file."""

    RENAMED: ClassVar[dict[str, str]] = {"validation_part": "validation_share"}

    validation: CocoSource | None = Field(default=None, description="data that selects the best checkpoint")
    test: CocoSource | None = Field(
        default=None, description="data for the final metrics; by default the validation data"
    )
    validation_share: float = Field(
        default=0.2, gt=0, lt=1, description="share of the images for validation, without a separate file"
    )
    decode: bool = Field(default=True, description="decode every image before training to find broken ones")
    on_problem: Literal["skip", "fail"] = Field(
        default="skip", description="whether a bad image or annotation is skipped or an error"
    )
    workers: int | None = Field(
        default=None, ge=0, le=MAX_LOADERS, description="loader processes; depends on the cores by default"
    )

    def split(self, masks: bool, seed: int) -> Split:
        """Read and check all files; the same seed gives the same split. Raises ExperimentError depending on
        `on_problem`.
        """
        train = self.read(self, masks)
        problems = {self.annotations.name: train.problems}
        if self.validation:
            others = self.read(self.validation, masks, train.labels)
            problems[self.validation.annotations.name] = others.problems
            training, validation = train.images, others.images
        else:
            training, validation = hold_out(train.images, self.validation_share, seed)
        test = validation
        if self.test:
            others = self.read(self.test, masks, train.labels)
            problems[self.test.annotations.name] = others.problems
            test = others.images
        split = Split(train.labels, training, validation, test, problems)
        split.check(self.on_problem == "fail")
        return split

    def read(self, source: CocoSource, masks: bool, labels: list[str] | None = None) -> CocoFile:
        return read_once(source.annotations, source.images, masks, self.decode, tuple(labels or ()))


# Cached, because every stage of a run reads the data.
@lru_cache(maxsize=4)
def read_once(annotations: Path, images: Path, masks: bool, decode: bool, labels: tuple[str, ...]) -> CocoFile:
    return coco.read(annotations, images, masks, decode, list(labels) or None)


class Split(AnnotatedSplit[AnnotatedImage]):
    def check(self, strict: bool) -> None:
        super().check(strict)
        for part, images in self.parts.items():
            if not any(not annotation.crowd for image in images for annotation in image.annotations):
                raise ExperimentError(f"the {len(images)} {part} images have no annotated objects{self.left_out}")

    def describe_part(self, images: list[AnnotatedImage]) -> dict[str, Any]:
        """The number of images, and of objects per class."""
        objects = [annotation for image in images for annotation in image.annotations]
        counts = np.bincount([a.label for a in objects if not a.crowd], minlength=len(self.labels)).tolist()
        return {
            "images": len(images),
            "images without an object": sum(not image.annotations for image in images),
            "crowds": sum(annotation.crowd for annotation in objects),
            "objects": dict(zip(self.labels[1:], counts[1:], strict=True)),
        }


class CocoImages(Dataset[Item]):
    """(image uint8 (3, H, W), {"boxes" (N, 4) x1 y1 x2 y2, "labels" (N,), "iscrowd" (N,), "area" (N,)}).

    masks: adds "masks" (N, H, W), uint8. crowds: keep crowd annotations, in which evaluation ignores detections;
    training does not use them, because a box around many objects teaches nothing. augment: for training.
    reduced: the size at which each image is read; by default its own.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        masks: bool,
        crowds: bool,
        augment: Augment | None = None,
        reduced: Reduced | None = None,
    ) -> None:
        self.images = images
        self.masks = masks
        self.crowds = crowds
        self.augment = augment
        self.reduced = reduced or (lambda height, width: (height, width))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Item:
        image, target = self.read(index)
        if self.augment:
            image, target = self.augment(image, target)
        return image.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in target.items()}

    def read(self, index: int) -> tuple[tv_tensors.Image, Target]:
        """An image as it is but for its size, with boxes and masks as tv_tensors."""
        annotated = self.images[index]
        own = (annotated.height, annotated.width)
        image = read_reduced(annotated.path, own, self.reduced)
        chosen = [a for a in annotated.annotations if self.crowds or not a.crowd]
        size = self.reduced(*own)
        y_scale, x_scale = size[0] / own[0], size[1] / own[1]
        boxes = torch.tensor([a.box for a in chosen], dtype=torch.float32).reshape(-1, 4)
        boxes *= torch.tensor([x_scale, y_scale] * 2)
        target: Target = {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size),
            "labels": torch.tensor([a.label for a in chosen], dtype=torch.int64),
            "iscrowd": torch.tensor([a.crowd for a in chosen], dtype=torch.int64),
            "area": torch.tensor([a.area * x_scale * y_scale for a in chosen], dtype=torch.float32),
        }
        if self.masks:
            # One after the other, because those of a whole image take a byte per object and pixel.
            masks = [reduce_mask(a.mask(), self.reduced) for a in chosen]
            masks_NHW = torch.stack(masks) if masks else torch.empty((0, *size), dtype=torch.uint8)
            target["masks"] = tv_tensors.Mask(masks_NHW)
        return image, target


class CocoData(LightningDataModule):
    """Batches are lists of items, because images keep their own sizes."""

    def __init__(
        self,
        split: Split,
        masks: bool,
        batch_size: int,
        workers: int | None,
        augment: Augment | None = None,
        reduced: Reduced | None = None,
    ) -> None:
        super().__init__()
        self.training = CocoImages(split.training, masks, crowds=False, augment=augment, reduced=reduced)
        self.validation = CocoImages(split.validation, masks, crowds=True)
        self.test = CocoImages(split.test, masks, crowds=True)
        self.batch_size = batch_size
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Item]:
        # A last batch of one image would give batch norms over pooled features a single value per channel.
        return self.loader(self.training, shuffle=True, drop_last=len(self.training) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Item]:
        return self.loader(self.validation)

    def test_dataloader(self) -> DataLoader[Item]:
        return self.loader(self.test)

    def loader(self, images: CocoImages, **options: Any) -> DataLoader[Item]:
        workers = loaders(self, self.workers)
        return DataLoader(
            images,
            self.batch_size,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=list,
            pin_memory=torch.cuda.is_available(),
            **options,
        )
