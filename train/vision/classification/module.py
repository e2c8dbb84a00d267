"""Training of an image classifier for one task, or for several on shared features."""

from __future__ import annotations

from typing import Any, Self

import torch
from lightning.pytorch import LightningModule
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection

from handlers.vision.transform import ImageTransform
from train.core.optimization import ClassifierOptimization
from train.vision.classification.batches import Batch
from train.vision.classification.mixing import Mixing
from train.vision.classification.models import Frozen, freeze, keep_statistics, network_of, parameter_groups
from train.vision.classification.multi_label import binary_cross_entropy, multi_label_scores
from train.vision.classification.scores import scores


class Learning(ClassifierOptimization):
    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of the head")
    backbone_rate: float = Field(
        default=0.1, ge=0, description="learning rate of the other layers, relative to the head's"
    )
    weight_decay: float = Field(default=0.05, ge=0, description="not applied to biases and norms")


class ImageClassifier(LightningModule):
    """Can be rebuilt from its hyperparameters: `ImageClassifier.load_from_checkpoint(path, weights_only=True)`.

    Logs `<stage>/loss`, `<stage>/accuracy` (over all images) and `<stage>/f1` (macro average) for train, val and test;
    with several tasks also `<stage>/accuracy/<task>` and so on, next to the mean over the tasks. The accuracy of a
    multi-label model is over all classes of all images.
    """

    class_weights_0: Tensor | None

    def __init__(
        self,
        model: str,
        tasks: dict[str, list[str]],
        transform: dict[str, Any],
        arguments: dict[str, Any] | None = None,
        frozen: Frozen = "nothing",
        learning: dict[str, Any] | None = None,
        mixing: dict[str, Any] | None = None,
        class_weights: dict[str, list[float]] | None = None,
        task_weights: dict[str, float] | None = None,
        monitor: str = "val/accuracy",
        multi_label: bool = False,
    ) -> None:
        """tasks: each with its classes. transform: for evaluation, as returned by `ImageTransform.to_dict`.

        class_weights: one per class of each task; an image's loss is weighted by its class. Multi-label: the weight of
        an image with the class, relative to one without it. multi_label: any number of the single task's classes can
        apply to an image.
        task_weights: weights of the tasks' losses in the total loss; 1 by default.
        """
        super().__init__()
        self.save_hyperparameters()
        self.tasks = tasks
        self.sizes = [len(classes) for classes in tasks.values()]
        self.transform = ImageTransform.from_dict(transform)
        self.network = network_of(model, sum(self.sizes), arguments or {})
        self.frozen = frozen
        self.learning = Learning.model_validate(learning or {})
        self.mixing = Mixing.model_validate(mixing or {})
        self.task_weights = {task: (task_weights or {}).get(task, 1.0) for task in tasks}
        self.monitor = monitor
        self.multi_label = multi_label
        for number, task in enumerate(tasks):
            weights = (class_weights or {}).get(task)
            tensor = None if weights is None else torch.tensor(weights)
            self.register_buffer(f"class_weights_{number}", tensor, persistent=False)
        of = multi_label_scores if multi_label else scores
        self.train_scores, self.val_scores, self.test_scores = (of(self.sizes) for _ in range(3))
        freeze(self.network, frozen)
        keep_statistics(self.network, frozen)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if mode:
            keep_statistics(self.network, self.frozen)
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) → logits (N, classes) for each task."""
        images_NCHW = self.transform.normalise(images).contiguous(memory_format=torch.channels_last)
        return self.split(self.network(images_NCHW))

    def split(self, joined: Tensor) -> dict[str, Tensor]:
        """(N, classes of all tasks) → (N, classes) for each task."""
        return dict(zip(self.tasks, joined.split(self.sizes, dim=1), strict=True))

    def losses(self, logits: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy of each task. targets: indices (N,), or probabilities (N, classes)."""
        if self.multi_label:
            [task] = self.tasks
            smoothing = self.learning.label_smoothing
            return {task: binary_cross_entropy(logits[task], targets[task], self.class_weights_0, smoothing)}
        return {
            task: F.cross_entropy(
                logits[task].float(),
                targets[task],
                weight=getattr(self, f"class_weights_{number}"),
                label_smoothing=self.learning.label_smoothing,
            )
            for number, task in enumerate(self.tasks)
        }

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the losses."""
        return torch.stack([losses[task] * weight for task, weight in self.task_weights.items()]).sum()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        self.count_lost("train", batch)
        images, labels = batch.images, self.labels(batch)
        targets: dict[str, Tensor] = labels
        if self.mixing.on:
            joined = torch.cat(
                [self.probabilities(labels[t], n) for t, n in zip(self.tasks, self.sizes, strict=True)], 1
            )
            normal_NCHW, joined = self.mixing(self.transform.normalise(images), joined)
            targets = self.split(joined)
            logits = self.split(self.network(normal_NCHW.contiguous(memory_format=torch.channels_last)))
        else:
            logits = self(images)
        losses = self.losses(logits, targets)
        loss = self.total(losses)
        self.record("train", logits, labels, losses, loss)
        return loss

    def labels(self, batch: Batch) -> dict[str, Tensor]:
        """Class indices (N,) of each task; for a multi-label model 0 or 1 per class (N, classes)."""
        if self.multi_label:
            return dict.fromkeys(self.tasks, batch.labels)
        return dict(zip(self.tasks, batch.labels.unbind(1), strict=True))

    def probabilities(self, labels: Tensor, classes: int) -> Tensor:
        """The labels as probabilities, float (N, classes)."""
        return (labels if self.multi_label else F.one_hot(labels, classes)).float()

    def validation_step(self, batch: Batch, index: int) -> None:
        self.evaluate("val", batch)

    def test_step(self, batch: Batch, index: int) -> None:
        self.evaluate("test", batch)

    def evaluate(self, stage: str, batch: Batch) -> None:
        self.count_lost(stage, batch)
        if not len(batch.images):
            return
        labels = self.labels(batch)
        logits = self(batch.images)
        losses = self.losses(logits, labels)
        self.record(stage, logits, labels, losses, self.total(losses))

    def count_lost(self, stage: str, batch: Batch) -> None:
        """Log the number of an epoch's unreadable images."""
        number = float(batch.lost)
        self.log(
            f"{stage}/unreadable",
            number,
            on_step=False,
            on_epoch=True,
            reduce_fx="sum",
            sync_dist=stage != "train",
            batch_size=1,
        )

    def record(
        self,
        stage: str,
        logits: dict[str, Tensor],
        labels: dict[str, Tensor],
        losses: dict[str, Tensor],
        loss: Tensor,
    ) -> None:
        """Log a batch's losses, and update the scores that are logged at the end of the epoch."""
        training = stage == "train"
        options: dict[str, Any] = {"batch_size": len(next(iter(labels.values()))), "sync_dist": not training}
        self.log(f"{stage}/loss", loss.detach(), on_step=training, on_epoch=not training, prog_bar=True, **options)
        if len(self.tasks) > 1:
            for task, value in losses.items():
                self.log(f"{stage}/loss/{task}", value.detach(), on_step=training, on_epoch=not training, **options)
        for task, metric in zip(self.tasks, self.scores_of(stage), strict=True):
            metric.update(logits[task].detach().float(), labels[task])

    def log_scores(self, stage: str) -> None:
        """Log the scores, which torchmetrics has already synchronised over all processes.

        At the end of a training epoch the log must not synchronise anything: it does so when it is read, and the
        progress bar, which only the first process has, would wait for the others forever.
        """
        metrics = self.scores_of(stage)
        found = {task: metric.compute() for task, metric in zip(self.tasks, metrics, strict=True)}
        for name in ("accuracy", "f1"):
            mean = torch.stack([values[name] for values in found.values()]).mean()
            self.log(f"{stage}/{name}", mean, prog_bar=stage == "val", sync_dist=stage != "train")
            if len(self.tasks) > 1:
                for task, values in found.items():
                    self.log(f"{stage}/{name}/{task}", values[name], sync_dist=stage != "train")
        for metric in metrics:
            metric.reset()

    def scores_of(self, stage: str) -> list[MetricCollection]:
        """One collection per task, in order."""
        scores: Any = {"train": self.train_scores, "val": self.val_scores, "test": self.test_scores}[stage]
        return list(scores)

    def on_train_epoch_end(self) -> None:
        self.log_scores("train")

    def on_validation_epoch_end(self) -> None:
        self.log_scores("val")

    def on_test_epoch_end(self) -> None:
        self.log_scores("test")

    @property
    def scales_gradients(self) -> bool:
        """Whether gradients are scaled for float16. A fused step would unscale them only after clipping."""
        return self.trainer.precision == "16-mixed"

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by the norm. Lightning refuses to clip for any fused optimizer, even if nothing is scaled."""
        if self.scales_gradients:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        learning = self.learning
        groups = parameter_groups(self.network, learning.learning_rate, learning.backbone_rate, learning.weight_decay)
        # A fused step takes an eighth of the time on a CPU.
        return learning.configure(
            groups,
            int(self.trainer.estimated_stepping_batches),
            self.monitor,
            "min" if "loss" in self.monitor else "max",
            fused=not self.scales_gradients,
        )
