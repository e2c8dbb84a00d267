"""Training of an audio classifier."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional as F
from torchaudio.transforms import SpecAugment
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from handlers.networks.featured import Featured
from train.audio.classification.data import Batch
from train.core.optimization import ClassifierOptimization

# Maximum width of a mask, in frames and in mel bands.
MASKED_FRAMES, MASKED_TONES = 10, 5


class AudioClassifier(LightningModule):
    """Logs the loss, accuracy (over all recordings) and F1 (macro average).

    mask: probability of each mask over the features.
    """

    def __init__(self, network: Featured, classes: int, learning: ClassifierOptimization, mask: float) -> None:
        super().__init__()
        self.network = network
        self.learning = learning
        # 0 is the features' mean.
        self.mask = SpecAugment(1, MASKED_FRAMES, 1, MASKED_TONES, p=mask, zero_masking=True)
        self.accuracy = MulticlassAccuracy(classes, average="micro")
        self.f1 = MulticlassF1Score(classes)

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        return self.learning.configure(self.learning.groups(self.network), steps)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        waveforms, labels = batch
        logits = self.network.classify(self.mask(self.network.features(waveforms)))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.learning.label_smoothing)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        waveforms, labels = batch
        # In full precision, whatever the training's, as in serving.
        with torch.autocast(self.device.type, enabled=False):
            logits = self.network(waveforms)
        self.accuracy(logits, labels)
        self.f1(logits, labels)
        self.log("val/loss", F.cross_entropy(logits, labels), batch_size=len(labels), sync_dist=True)
        self.log("val/accuracy", self.accuracy, prog_bar=True)
        self.log("val/f1", self.f1)
