"""`system: detection`: a small object detector, fine-tuned from ImageNet weights on composed pictures."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule, seed_everything
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models.detection.ssd import SSD

from handlers.networks.detection import mobilenet_v2_ssd
from handlers.networks.weights import load_weights
from train.artifact import Artifact
from train.backbone import keep_statistics, load_imagenet
from train.experiment import Experiment
from train.gallery import boxes_gallery
from train.shape_pictures import ShapePictures, write_sample
from train.shapes import SHAPES
from train.stored_weights import round_weights
from train.trainer import LOADERS, trainer, training_precision

Item = tuple[Tensor, dict[str, Tensor]]
LABELS = ["__background__", *SHAPES]


class Detector(LightningModule):
    """Trains a network of torchvision's detection contract; tests it by COCO's mean average precision."""

    def __init__(self, network: SSD, learning_rate: float, backbone_rate: float, steps: int) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.backbone_rate = backbone_rate
        self.steps = steps
        self.average_precision = MeanAveragePrecision(class_metrics=True, backend="pycocotools")
        self.scores: dict[str, Any] = {}

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        keep_statistics(self.network.backbone.body)
        return self

    def configure_optimizers(self) -> Any:
        body = [p for p in self.network.backbone.body.parameters() if p.requires_grad]
        rest = [*self.network.backbone.fpn.parameters(), *self.network.head.parameters()]
        rates = [self.learning_rate * self.backbone_rate, self.learning_rate]
        optimizer = AdamW([{"params": body}, {"params": rest}], weight_decay=0.01, fused=True)
        schedule = OneCycleLR(optimizer, rates, total_steps=self.steps, pct_start=0.15)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: list[Item], index: int) -> Tensor:
        losses = self.network([image / 255 for image, _ in batch], [target for _, target in batch])
        loss: Tensor = sum(losses.values(), torch.zeros((), device=self.device))
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def test_step(self, batch: list[Item], index: int) -> None:
        self.average_precision.update(
            self.network([image / 255 for image, _ in batch]), [target for _, target in batch]
        )

    def on_test_epoch_end(self) -> None:
        found = self.average_precision.compute()
        per_class = zip(found["classes"].reshape(-1).tolist(), found["map_per_class"].reshape(-1).tolist(), strict=True)
        self.scores = {
            "mAP": round(found["map"].item(), 4),
            "mAP@.50": round(found["map_50"].item(), 4),
            "mAP@.75": round(found["map_75"].item(), 4),
            "mAP per class": {LABELS[label]: round(value, 4) for label, value in per_class},
        }
        self.average_precision.reset()


class Detection(Experiment):
    """steps: of the optimizer, each on `batch_size` new pictures; nothing is seen twice.

    learning_rate: the peak of a one-cycle schedule; the backbone learns at `backbone_rate` of it, and the first
        `frozen_layers` of its 19 not at all.
    image_size: the side of the square the network sees, in pixels.
    pictures: how many are held out; they are the same for every seed.
    """

    steps: int = 300
    batch_size: int = 16
    learning_rate: float = 2e-3
    backbone_rate: float = 0.3
    frozen_layers: int = 7
    image_size: int = 224
    pictures: int = 240

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        seed_everything(self.seed, workers=True, verbose=False)
        arguments = self.arguments
        network = mobilenet_v2_ssd(**arguments)
        load_imagenet(network.backbone.body, self.frozen_layers)
        module = Detector(network, self.learning_rate, self.backbone_rate, self.steps)
        module.to(memory_format=torch.channels_last)

        print(f"{self.name}: training on {self.steps * self.batch_size} composed pictures")
        pictures = ShapePictures("training", self.steps * self.batch_size, self.seed)
        trainer(training_precision(), max_steps=self.steps).fit(module, self.loader(pictures))
        trained = time.monotonic()
        round_weights(network, self.stored_weights)
        metrics = self.measure(module)

        with TemporaryDirectory() as temporary:
            sample, gallery = Path(temporary, "sample.jpg"), Path(temporary, "held-out.png")
            write_sample(sample)
            boxes_gallery(network.eval(), self.held_out, LABELS, gallery)
            Artifact(
                name=self.name,
                experiment=self,
                task="object-detection",
                format="safetensors",
                labels=LABELS,
                architecture={"factory": "handlers.networks.detection.mobilenet_v2_ssd", "arguments": arguments},
                metrics=metrics,
                training={
                    "data": "composed pictures: textured shapes over photographs",
                    "held out": "other photographs, other shapes, larger pictures",
                    "backbone": "torchvision MobileNet_V2_Weights.IMAGENET1K_V1",
                    **self.model_dump(exclude={"name", "system"}),
                    "seconds": round(trained - started, 1),
                },
            ).write(folder, network.state_dict(), sample, [gallery])

    def evaluate(self, folder: Path) -> dict[str, Any]:
        network = mobilenet_v2_ssd(**self.arguments)
        load_weights(network, folder / "weights.safetensors")
        return self.measure(Detector(network, self.learning_rate, self.backbone_rate, self.steps))

    def measure(self, module: Detector) -> dict[str, Any]:
        """COCO's mean average precision on the pictures held out."""
        print(f"{self.name}: testing on {self.pictures} held-out pictures")
        trainer().test(module, self.loader(self.held_out), verbose=False)
        print(f"{self.name}: {module.scores}")
        return {**module.scores, "pictures": self.pictures}

    @property
    def arguments(self) -> dict[str, int]:
        """Of the network's factory."""
        return {"num_classes": len(LABELS), "image_size": self.image_size}

    @property
    def held_out(self) -> ShapePictures:
        return ShapePictures("held-out", self.pictures)

    def loader(self, pictures: ShapePictures) -> DataLoader[Item]:
        return DataLoader(pictures, self.batch_size, num_workers=LOADERS, collate_fn=list, pin_memory=False)
