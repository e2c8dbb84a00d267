"""`system: image-classification`: any classifier of torchvision or timm, fine-tuned on the user's own images."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning.pytorch import seed_everything
from PIL import Image
from pydantic import Field
from torch import Tensor

from handlers.networks.layers import embedding_layer
from handlers.vision.transform import ImageTransform
from train.core import checkpoint
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.experiment import Staged
from train.core.file_list import SPLITS, FileList
from train.core.run import Run, is_first_process
from train.core.stored_weights import as_stored, round_weights
from train.core.trainer import TrainerSettings, check_compiler
from train.plots.augmentations import write_grid
from train.vision.augmentation import Augmentation
from train.vision.classification.backbones import Backbone, backbone
from train.vision.classification.batches import ImageData
from train.vision.classification.class_weights import balanced
from train.vision.classification.data import DataSettings
from train.vision.classification.evaluation import Evaluation, evaluate, evaluate_multi_label
from train.vision.classification.mixing import Mixing
from train.vision.classification.models import Arguments, Frozen
from train.vision.classification.module import ImageClassifier, Learning
from train.vision.classification.multi_label import MultiLabelEvaluation
from train.vision.classification.result_plots import write_plots
from train.vision.images import Unreadable, read_image

SAMPLE_SIZE = (1024, 1024)


class ImageClassification(Staged):
    """Only `data.folder` is required; `python -m train EXPERIMENT data.folder=…` overrides the file's value.

    model: from torchvision, such as resnet18, or from timm, such as timm/resnet18.
    weights: a name from torchvision's enum for the model, such as IMAGENET1K_V1, one of timm's tags, such as a1_in1k,\n
    or DEFAULT; null trains from scratch. image_size: the side of the network's square input in pixels; by default 224,
    or as timm's weights were trained. frozen: "statistics" keeps the published batch-norm statistics, "backbone" keeps
    everything except the new head. class_weights: "balanced" weights an image by the rarity of its class in the
    training data.
    data.separator: makes the model multi-label, with one sigmoid per class.
    task_weights: weights of the tasks' losses in the total loss; 1 by default.
    arguments: for the model's builder, such as {dropout: 0.3}. batch_size: images per device and step.
    compile: use torch.compile, which needs g++ or clang++ and takes a minute or more at the start.
    """

    RENAMED: ClassVar[dict[str, str]] = {"data.batch_size": "batch_size"}

    data: DataSettings
    model: str = "mobilenet_v3_large"
    weights: str | None = "DEFAULT"
    arguments: Arguments = Field(default_factory=dict)
    image_size: int | None = Field(default=None, ge=16, le=4_096)
    frozen: Frozen = "nothing"
    augmentation: Augmentation = Augmentation()
    mixing: Mixing = Mixing()
    learning: Learning = Learning()
    class_weights: Literal["equal", "balanced"] = "equal"
    task_weights: dict[str, float] = Field(default_factory=dict)
    monitor: Literal["val/accuracy", "val/f1", "val/loss"] = "val/accuracy"
    trainer: TrainerSettings = TrainerSettings()
    batch_size: int = Field(default=32, ge=1, le=1 << 16)
    compile: bool = False
    format: Literal["safetensors", "torch-export"] = "safetensors"

    def fit(self, run: Run) -> None:
        self.trainer.check()
        if self.compile:
            check_compiler()
        started = time.monotonic()
        seed_everything(self.seed, workers=True, verbose=False)
        source = self.backbone
        listed, found = self.data.prepare(run, self.seed, self.transform())
        self.check_tasks(listed)
        counts = ", ".join(f"{number} {split}" for split, number in found["files"].items())
        if is_first_process():
            print(f"{self.name}: {self.model} on {counts} images")
        transform = self.transform(found)
        module = ImageClassifier(
            self.model,
            listed.tasks,
            transform.to_dict(),
            {**source.arguments(), **self.arguments},
            self.frozen,
            self.learning.model_dump(),
            self.mixing.model_dump(),
            balanced(listed) if self.class_weights == "balanced" else None,
            self.task_weights,
            self.monitor,
            listed.multi_label,
        )
        if run.last is None:
            source.load(module.network)
        data = ImageData(
            listed, self.data, transform, self.augmentation.pipeline(self.square), self.batch_size, self.seed
        )
        if self.compile:
            module.network.compile()  # in place, so that the weights keep their names
        mode: Literal["min", "max"] = "min" if self.monitor == "val/loss" else "max"
        fitted = self.trainer.fit(run, module, data, self.monitor, mode, fixed_sizes=True)
        run.record("fit", {**fitted, "seconds": round(time.monotonic() - started, 1)})

    def test(self, run: Run) -> None:
        module, data = self.restore(run)
        split = data.held_out
        found = self.measure(module, data, split)
        metrics: dict[str, Any] = {"measured on": split, **found.metrics()}
        write_plots(run.plots, data.images(split), data.listed.separator, found)
        run.record("test", metrics)
        print(f"{self.name}: accuracy {metrics['accuracy']}, F1 {metrics['f1']} on {split}; plots in {run.plots}")

    def measure(self, module: ImageClassifier, data: ImageData, split: str) -> Evaluation | MultiLabelEvaluation:
        network, transform, images = module.network, module.transform, data.evaluation(split)
        if module.multi_label:
            [classes] = module.tasks.values()
            return evaluate_multi_label(network, transform, classes, images, split)
        return evaluate(network, transform, module.tasks, images, split)

    def export(self, run: Run, folder: Path) -> None:
        metrics, fitted = run.recorded("test"), run.recorded("fit")
        module, data = self.restore(run)
        network, tasks = module.network.eval(), data.listed.tasks
        preprocessing = module.transform.to_dict()
        if len(tasks) > 1:
            preprocessing["tasks"] = tasks
        if module.multi_label:
            preprocessing["multi_label"] = True
        if self.format == "safetensors":
            preprocessing["embedding"] = embedding_layer(network)
        with TemporaryDirectory() as temporary:
            weights: dict[str, Tensor] | Path = network.state_dict()
            if self.format == "torch-export":
                weights = Path(temporary, "weights.pt2")
                export_program(as_stored(network, self.stored_weights), module.transform, weights)
            # As this network was built: an older run may have used other arguments.
            arguments = {"model": self.model, "classes": sum(module.sizes), **(module.hparams["arguments"] or {})}
            Artifact(
                name=self.name,
                experiment=self,
                task="image-classification",
                format=self.format,
                labels=[name for classes in tasks.values() for name in classes],
                architecture={"factory": "handlers.networks.classifier.classifier", "arguments": arguments}
                if self.format == "safetensors"
                else None,
                preprocessing=preprocessing,
                metrics=metrics,
                training={
                    "images": {split: len(data.listed.of(split)) for split in SPLITS},
                    "unreadable": len(data.listed.bad),
                    **fitted,
                    **self.model_dump(mode="json", exclude={"name", "system", "data"}),
                },
                reference=self.measure(module, data, "validation").reference(),
            ).write(folder, weights, self.sample(data, Path(temporary)), sorted(run.plots.iterdir()))

    def augmentations(self, path: Path, count: int) -> None:
        """Draw images of the data set, each next to its augmented versions, mixed with others if training mixes."""
        seed_everything(self.seed, verbose=False)
        listed = self.data.listed()
        read = self.data.reader()
        pipeline = self.augmentation.pipeline(self.square)
        chosen = np.random.default_rng(self.seed).permutation(len(listed.examples))
        samples: list[tuple[Tensor, dict[str, Any]]] = []
        for number in chosen:
            try:
                samples.append((read_image(read(listed.examples[number].file)), {}))
            except (Unreadable, OSError):
                continue  # reported by the check before training
            if len(samples) == count:
                break

        def augment(sample: tuple[Tensor, dict[str, Any]]) -> tuple[Tensor, dict[str, Any]]:
            image: Tensor = pipeline(sample[0])
            if self.mixing.on:
                other, _ = samples[int(torch.randint(len(samples), ()))]
                mixed, _ = self.mixing(torch.stack([image, pipeline(other)]).float(), torch.eye(2))
                image = mixed[0].round().to(torch.uint8)
            return image, {}

        write_grid(path, samples, augment)

    def restore(self, run: Run) -> tuple[ImageClassifier, ImageData]:
        """The best checkpoint and the run's data. Raises RunError if there is no checkpoint yet."""
        checkpoint.check(run.best)
        with checkpoint.of_this_model(run.best):
            module = ImageClassifier.load_from_checkpoint(run.best, map_location="cpu", weights_only=True)
        round_weights(module.network, self.stored_weights)
        listed, _ = self.data.prepare(run, self.seed, module.transform)
        return module, ImageData(
            listed, self.data, module.transform, module.transform.geometry, self.batch_size, self.seed
        )

    @property
    def backbone(self) -> Backbone:
        return backbone(self.model, self.weights, self.image_size)

    @property
    def square(self) -> tuple[int, int]:
        side = self.backbone.side
        return (side, side)

    def transform(self, statistics: dict[str, Any] | None = None) -> ImageTransform:
        """The transform for evaluation; see `Backbone.transform`."""
        return self.backbone.transform(statistics)

    def check_tasks(self, listed: FileList) -> None:
        unknown = sorted(self.task_weights.keys() - listed.tasks.keys())
        if unknown:
            raise ExperimentError(f"task_weights: unknown task {', '.join(unknown)}; wanted {', '.join(listed.tasks)}")
        if listed.multi_label and self.model.startswith("squeezenet"):
            raise ExperimentError(
                f"model: {self.model} ends in a ReLU, so that every class would apply with a probability of 0.5 or "
                "more; wanted another classifier for several labels per image"
            )

    def sample(self, data: ImageData, folder: Path) -> Path:
        """Write a held-out image to a file small enough for a request."""
        images = data.images(data.held_out)
        for file in images.files:
            try:
                image = read_image(images.read(file))
            except (Unreadable, OSError):
                continue
            path = folder / "sample.jpg"
            shown = Image.fromarray(image.permute(1, 2, 0).numpy())
            shown.thumbnail(SAMPLE_SIZE)
            shown.save(path, quality=92)
            return path
        raise ExperimentError("data: none of the held-out images could be read")


def export_program(network: torch.nn.Module, transform: ImageTransform, path: Path) -> None:
    """Write the network as a torch.export program for batches of 1 to 1024 images."""
    example = transform.normalise(transform.example()).repeat(2, 1, 1, 1)
    batch = torch.export.Dim("batch", min=1, max=1024)
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=({0: batch},)), path)
