"""Training and evaluation of any network with the interface of torchvision's detectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.core.optimization import Optimization
from train.vision.detection.average_precision import AveragePrecision, Kind, Precision
from train.vision.detection.data import Item
from train.vision.fine_tuning import FineTunedModule


class DetectionModule(FineTunedModule):
    """network: in training (images, targets) → a dict of losses; in evaluation images → a list of dicts.

    masks: it also predicts masks, whose `mAP` then selects the checkpoint.
    """

    def __init__(
        self, network: nn.Module, labels: list[str], masks: bool, learning: Optimization, keep: list[str] | None = None
    ) -> None:
        super().__init__(network, labels, learning, keep)
        self.save_hyperparameters({"labels": labels, "masks": masks, "learning": learning.model_dump(mode="json")})
        self.average_precision = AveragePrecision(masks)
        self.measured: dict[Kind, Precision] = {}
        # The detections of the last evaluation, in the order of the images.
        self.found: list[dict[str, Tensor]] = []

    def training_step(self, batch: list[Item], index: int) -> Tensor:
        losses = self.network([image / 255 for image, _ in batch], [target for _, target in batch])
        loss: Tensor = torch.stack(list(losses.values())).sum()
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))
        self.log_dict({f"loss/{name}": value for name, value in losses.items()}, batch_size=len(batch))
        return loss

    def detect(self, batch: list[Item]) -> list[dict[str, Tensor]]:
        # In full precision, whatever the training's: bfloat16 would round coordinates above 256 pixels to even numbers.
        with torch.autocast(self.device.type, enabled=False):
            found: list[dict[str, Tensor]] = self.network([image / 255 for image, _ in batch])
        return found

    def validation_step(self, batch: list[Item], index: int) -> None:
        self.average_precision.update(self.detect(batch), [target for _, target in batch])

    def on_validation_epoch_end(self) -> None:
        measured = self.average_precision.compute()
        best = measured["segm"] if "segm" in measured else measured["bbox"]
        self.log_dict({"mAP": best.mean, "mAP@.50": best.at_50, "mAP@.75": best.at_75}, prog_bar=True)
        if "segm" in measured:
            self.log("box mAP", measured["bbox"].mean)
        self.log_dict({f"mAP/{self.labels[index]}": value for index, value in best.by_class.items()})

    def on_test_start(self) -> None:
        self.found = []

    def test_step(self, batch: list[Item], index: int) -> None:
        found = self.detect(batch)
        self.average_precision.update(found, [target for _, target in batch])
        # The masks of a whole test set would not fit into memory; those that are drawn are computed again.
        self.found += [{name: item[name].cpu() for name in ("boxes", "labels", "scores")} for item in found]

    def on_test_epoch_end(self) -> None:
        self.measured = self.average_precision.compute()
