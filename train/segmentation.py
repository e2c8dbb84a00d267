"""`system: segmentation`: a small semantic segmenter, fine-tuned from ImageNet weights on composed pictures."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule, seed_everything
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchmetrics import JaccardIndex
from torchvision.models.segmentation.lraspp import LRASPP
from torchvision.transforms.v2 import functional as transforms

from handlers.networks.segmentation import mobilenet_v2_lraspp
from handlers.networks.weights import load_weights
from handlers.vision.transform import ImageTransform
from train.artifact import Artifact
from train.backbone import keep_statistics, load_imagenet
from train.experiment import Experiment
from train.gallery import masks_gallery
from train.shape_pictures import ShapePictures, write_sample
from train.shapes import SHAPES
from train.stored_weights import round_weights
from train.trainer import LOADERS, trainer, training_precision

LABELS = ["background", *SHAPES]


class SegmentationPictures(Dataset[tuple[Tensor, Tensor]]):
    """Composed pictures at the network's size: (normalised image (3, H, W), label map (H, W) int64)."""

    def __init__(self, pictures: ShapePictures, transform: ImageTransform) -> None:
        self.pictures = pictures
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self.pictures[index]
        normalised = self.transform(image.as_subclass(Tensor))
        mask = transforms.resize(target["mask"], list(normalised.shape[-2:]), transforms.InterpolationMode.NEAREST)
        return normalised, mask.as_subclass(Tensor).long()


class Segmenter(LightningModule):
    """Trains on the network's size; tests by mean intersection over union at each picture's own."""

    def __init__(self, network: LRASPP, learning_rate: float, backbone_rate: float, steps: int) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.backbone_rate = backbone_rate
        self.steps = steps
        self.union = JaccardIndex("multiclass", num_classes=len(LABELS), average="none")
        self.scores: dict[str, Any] = {}

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        keep_statistics(self.network.backbone)
        return self

    def configure_optimizers(self) -> Any:
        body = [p for p in self.network.backbone.parameters() if p.requires_grad]
        rates = [self.learning_rate * self.backbone_rate, self.learning_rate]
        groups = [{"params": body}, {"params": list(self.network.classifier.parameters())}]
        optimizer = AdamW(groups, weight_decay=0.01, fused=True)
        schedule = OneCycleLR(optimizer, rates, total_steps=self.steps, pct_start=0.15)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images_NCHW, masks_NHW = batch
        logits_NCHW = self.network(images_NCHW.contiguous(memory_format=torch.channels_last))["out"]
        loss = F.cross_entropy(logits_NCHW, masks_NHW) + dice_loss(logits_NCHW, masks_NHW)
        self.log("loss", loss, prog_bar=True)
        return loss

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        image_NCHW, mask_NHW = batch
        logits_NCHW = self.network(image_NCHW)["out"]
        full_NCHW = F.interpolate(logits_NCHW, mask_NHW.shape[-2:], mode="bilinear", align_corners=False)
        self.union.update(full_NCHW.argmax(dim=1), mask_NHW)

    def on_test_epoch_end(self) -> None:
        by_class = self.union.compute()
        self.scores = {
            "mean IoU": round(by_class.mean().item(), 4),
            "IoU by class": dict(zip(LABELS, (round(value, 4) for value in by_class.tolist()), strict=True)),
        }
        self.union.reset()


def dice_loss(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, averaged over classes, however small (Milletari et al. 2016)."""
    probabilities = logits_NCHW.softmax(dim=1)
    truth = F.one_hot(masks_NHW, logits_NCHW.shape[1]).permute(0, 3, 1, 2)
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = (probabilities + truth).sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()


class Segmentation(Experiment):
    """As Detection: steps of `batch_size` new pictures each; `pictures` are held out, the same for every seed."""

    steps: int = 240
    batch_size: int = 16
    learning_rate: float = 6e-3
    backbone_rate: float = 0.3
    frozen_layers: int = 4
    image_size: int = 224
    pictures: int = 200

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        seed_everything(self.seed, workers=True, verbose=False)
        network = mobilenet_v2_lraspp(len(LABELS))
        load_imagenet(network.backbone, self.frozen_layers)
        module = Segmenter(network, self.learning_rate, self.backbone_rate, self.steps)
        module.to(memory_format=torch.channels_last)
        transform = self.transform

        print(f"{self.name}: training on {self.steps * self.batch_size} composed pictures")
        pictures = ShapePictures("training", self.steps * self.batch_size, self.seed)
        loader = DataLoader(SegmentationPictures(pictures, transform), self.batch_size, num_workers=LOADERS)
        trainer(training_precision(), max_steps=self.steps).fit(module, loader)
        trained = time.monotonic()
        round_weights(network, self.stored_weights)
        metrics = self.measure(module)

        with TemporaryDirectory() as temporary:
            sample, gallery = Path(temporary, "sample.jpg"), Path(temporary, "held-out.png")
            write_sample(sample)
            masks_gallery(network.eval(), transform, self.held_out, gallery)
            factory = "handlers.networks.segmentation.mobilenet_v2_lraspp"
            Artifact(
                name=self.name,
                experiment=self,
                task="semantic-segmentation",
                format="safetensors",
                labels=LABELS,
                architecture={"factory": factory, "arguments": {"num_classes": len(LABELS)}},
                preprocessing=transform.to_dict(),
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
        network = mobilenet_v2_lraspp(len(LABELS))
        load_weights(network, folder / "weights.safetensors")
        return self.measure(Segmenter(network, self.learning_rate, self.backbone_rate, self.steps))

    def measure(self, module: Segmenter) -> dict[str, Any]:
        """Mean intersection over union on the pictures held out."""
        print(f"{self.name}: testing on {self.pictures} held-out pictures")
        pictures = FullSize(self.held_out, self.transform)
        trainer().test(module, DataLoader(pictures, 1, num_workers=LOADERS), verbose=False)
        print(f"{self.name}: {module.scores}")
        return {**module.scores, "pictures": self.pictures}

    @property
    def transform(self) -> ImageTransform:
        return ImageTransform(resize=(self.image_size, self.image_size))

    @property
    def held_out(self) -> ShapePictures:
        return ShapePictures("held-out", self.pictures)


class FullSize(SegmentationPictures):
    """(normalised image at the network's size, label map at the picture's own)."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self.pictures[index]
        return self.transform(image.as_subclass(Tensor)), target["mask"].as_subclass(Tensor).long()
