"""Training and evaluation of any network with the interface of torchvision's segmenters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from handlers.vision.transform import ImageTransform
from train.core.optimization import Optimization
from train.vision.fine_tuning import FineTunedModule
from train.vision.segmentation.data import Item
from train.vision.segmentation.label_maps import IGNORE


@dataclass(frozen=True)
class Overlap:
    """mean: intersection over union, averaged over the classes that occur or were predicted.

    accuracy: of pixels.
    by_class: by label index; None for a class that neither occurs nor was predicted. confusion: pixel counts (true,
    predicted).
    """

    mean: float
    accuracy: float
    by_class: list[float | None]
    confusion: NDArray[np.int64]

    def to_dict(self, labels: list[str]) -> dict[str, Any]:
        by_class = [None if value is None else round(value, 4) for value in self.by_class]
        return {
            "mean IoU": round(self.mean, 4),
            "pixel accuracy": round(self.accuracy, 4),
            "IoU per class": dict(zip(labels, by_class, strict=True)),
        }


class OverlapMetric(nn.Module):
    """Mean intersection over union over all pixels of a data set, by torchmetrics; 255 is ignored."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        # All three share one confusion matrix.
        self.metrics = MetricCollection(
            {
                "mean": MulticlassJaccardIndex(classes, average="macro", ignore_index=IGNORE),
                "by_class": MulticlassJaccardIndex(classes, average="none", ignore_index=IGNORE),
                "confusion": MulticlassConfusionMatrix(classes, ignore_index=IGNORE),
            }
        )

    def update(self, predicted_HW: Tensor, true_HW: Tensor) -> None:
        self.metrics.update(predicted_HW[None], true_HW[None])

    def compute(self) -> Overlap:
        """Compute over all processes, and reset."""
        computed = self.metrics.compute()
        self.metrics.reset()
        confusion = computed["confusion"].cpu().numpy()
        there = (confusion.sum(0) + confusion.sum(1)) > 0
        return Overlap(
            mean=computed["mean"].item(),
            accuracy=float(np.trace(confusion) / max(1, confusion.sum())),
            by_class=[
                v if is_there else None for v, is_there in zip(computed["by_class"].tolist(), there, strict=True)
            ],
            confusion=confusion,
        )


class SegmentationModule(FineTunedModule):
    """network: normalised images (B, 3, H, W) → {"out": logits (B, classes, H, W), "aux": of an auxiliary head}.

    transform: the transform that a server applies to an image.
    """

    def __init__(
        self,
        network: nn.Module,
        labels: list[str],
        transform: ImageTransform,
        learning: Optimization,
        auxiliary_weight: float = 0.4,
        keep: list[str] | None = None,
        dice_weight: float = 0.0,
    ) -> None:
        super().__init__(network, labels, learning, keep)
        self.save_hyperparameters(
            {"labels": labels, "learning": learning.model_dump(mode="json"), "auxiliary_weight": auxiliary_weight}
        )
        self.transform = transform
        self.auxiliary_weight = auxiliary_weight
        self.dice_weight = dice_weight
        self.overlap = OverlapMetric(len(labels))
        self.measured: Overlap | None = None
        # The share of each class in the prediction, for every evaluated image.
        self.parts: list[NDArray[np.float64]] = []

    def training_step(self, batch: Item, index: int) -> Tensor:
        images_NCHW, masks_NHW = batch
        outputs = self.network(images_NCHW)
        loss = cross_entropy(outputs["out"], masks_NHW)
        self.log("loss/out", loss, batch_size=len(images_NCHW))
        if self.dice_weight:
            dice = dice_loss(outputs["out"], masks_NHW)
            self.log("loss/dice", dice, batch_size=len(images_NCHW))
            loss = loss + self.dice_weight * dice
        if "aux" in outputs:
            auxiliary = cross_entropy(outputs["aux"], masks_NHW)
            self.log("loss/aux", auxiliary, batch_size=len(images_NCHW))
            loss = loss + self.auxiliary_weight * auxiliary
        self.log("loss", loss, prog_bar=True, batch_size=len(images_NCHW))
        return loss

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Tensor]:
        """The label map (H, W) of each image, uint8 (3, H, W), at the image's size, as a server would answer."""
        batch_NCHW = torch.stack([self.transform(image) for image in images])
        # In full precision, whatever the training's, as in serving.
        with torch.autocast(self.device.type, enabled=False):
            logits_NCHW = self.network(batch_NCHW)["out"]
        return [
            F.interpolate(logits_CHW[None], image.shape[-2:], mode="bilinear", align_corners=False)[0].argmax(dim=0)
            for image, logits_CHW in zip(images, logits_NCHW, strict=True)
        ]

    def validation_step(self, batch: list[Item], index: int) -> None:
        self.measure(batch)

    def measure(self, batch: list[Item]) -> list[Tensor]:
        predicted = self.predict([image for image, _ in batch])
        for predicted_HW, (_, true_HW) in zip(predicted, batch, strict=True):
            self.overlap.update(predicted_HW, true_HW)
        return predicted

    def on_validation_epoch_end(self) -> None:
        measured = self.overlap.compute()
        self.log_dict({"mean IoU": measured.mean, "pixel accuracy": measured.accuracy}, prog_bar=True)
        named = zip(self.labels, measured.by_class, strict=True)
        self.log_dict({f"IoU/{label}": value for label, value in named if value is not None})

    def on_test_start(self) -> None:
        self.parts = []

    def test_step(self, batch: list[Item], index: int) -> None:
        for predicted_HW in self.measure(batch):
            counts = torch.bincount(predicted_HW.flatten(), minlength=len(self.labels))
            self.parts.append((counts / counts.sum()).cpu().numpy())

    def on_test_epoch_end(self) -> None:
        self.measured = self.overlap.compute()


def cross_entropy(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """The mean over the pixels that have a class; zero rather than NaN if a batch has none."""
    losses = F.cross_entropy(logits_NCHW.float(), masks_NHW, ignore_index=IGNORE, reduction="sum")
    return losses / (masks_NHW != IGNORE).sum().clamp(min=1)


def dice_loss(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, averaged over all classes equally (Milletari et al. 2016).

    Pixels without a class (255) are ignored.
    """
    known_N1HW = (masks_NHW != IGNORE)[:, None]
    probabilities = logits_NCHW.float().softmax(dim=1) * known_N1HW
    classes_NHW = masks_NHW.where(known_N1HW[:, 0], 0)
    truth = F.one_hot(classes_NHW, logits_NCHW.shape[1]).permute(0, 3, 1, 2) * known_N1HW
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = (probabilities + truth).sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()
