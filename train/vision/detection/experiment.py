"""`system: object-detection`: a detector for the classes of the user's own COCO file."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from lightning.pytorch import seed_everything
from pydantic import Field, SerializeAsAny, WrapValidator
from torch import Tensor
from torchvision.io import write_jpeg

from handlers.networks.weights import load_weights
from train.core.artifact import Artifact, Task
from train.core.config import ExperimentError
from train.core.generated_data import GeneratedData, by_source
from train.core.run import Run
from train.plots.augmentations import write_grid as write_samples
from train.plots.predictions import chosen, confident, draw_boxes, draw_found, write_grid, write_pairs
from train.vision.annotated_experiment import AnnotatedExperiment
from train.vision.detection.augmentation import DetectionAugmentation
from train.vision.detection.average_precision import MASK_THRESHOLD
from train.vision.detection.data import CocoData, CocoImages, CocoSettings, Split
from train.vision.detection.models import BoxDetector, DetectorSettings
from train.vision.detection.module import DetectionModule
from train.vision.detection.precision_recall import best_thresholds, plot_precision_recall
from train.vision.reduction import Reduced, for_detector

TITLES = {"bbox": "boxes", "segm": "masks"}


class BoxModel(DetectorSettings):
    architecture: BoxDetector = Field(default="fasterrcnn_resnet50_fpn_v2")


# The user's own files, or one of the project's data sets by name, such as {"source": "shapes"}.
if TYPE_CHECKING:
    DetectionData = CocoSettings | GeneratedData
else:
    DetectionData = SerializeAsAny[Annotated[CocoSettings, WrapValidator(by_source)]]


class ObjectDetection(AnnotatedExperiment):
    """data: images and annotations. model: the network and its limits. learning: optimizer and schedule.

    batch_size: images per device and step.
    answer_threshold: minimum score of detections in the reference statistics and the example images; 0.5 is a server's
        default.
    """

    task: ClassVar[Task] = "object-detection"
    masks: ClassVar[bool] = False

    data: DetectionData
    model: BoxModel = BoxModel()
    augmentation: DetectionAugmentation = DetectionAugmentation()
    batch_size: int = Field(default=4, ge=1, le=1 << 16)
    answer_threshold: float = Field(default=0.5, ge=0, le=1)

    def fit(self, run: Run) -> None:
        self.begin()
        split = self.split()
        if self.model.architecture.startswith("ssdlite") and min(self.batch_size, len(split.training)) < 2:
            raise ExperimentError(
                f"batch_size: got {self.batch_size}, and {len(split.training)} training images; "
                f"wanted 2 or more of each for the batch norms of {self.model.architecture}"
            )
        self.record_data(run, split)
        network = self.model.network(len(split.labels))
        published = self.model.initialise(network)
        keep = published if self.model.keep_statistics else []
        module = DetectionModule(network, split.labels, self.masks, self.learning, keep)
        resizing: Any = network.transform  # of torchvision
        data = self.images(split, for_detector(resizing))
        fixed = getattr(resizing, "fixed_size", None) is not None
        self.trainer.fit(run, module, data, monitor="mAP", fixed_sizes=fixed)

    def test(self, run: Run) -> None:
        split = self.split()
        module = self.restored(run, split)
        metrics = self.measure(module, split)
        for kind, found in module.measured.items():
            title = f"{self.name}: precision of {TITLES[kind]} at IoU 0.50"
            plot_precision_recall(found, split.labels, title, run.plots / f"precision-recall-{TITLES[kind]}.png")
        self.draw(module, self.images(split).test, run.plots / "examples.jpg")
        run.record(
            "test",
            {
                **metrics,
                "best thresholds": best_thresholds(module.measured["bbox"], split.labels),
                "reference": reference(module.found, split.labels, self.answer_threshold),
            },
        )
        print(f"{self.name}: {json.dumps(metrics)}")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        split = self.split(training=False)
        network = self.model.network(len(split.labels))
        load_weights(network, folder / "weights.safetensors")
        return self.measure(DetectionModule(network, split.labels, self.masks, self.learning), split)

    def measure(self, module: DetectionModule, split: Split) -> dict[str, Any]:
        """COCO's mean average precision on the test images."""
        self.measure_on(module, self.images(split))
        metrics: dict[str, Any] = {}
        for kind, found in module.measured.items():
            metrics |= found.to_dict(split.labels, "mAP" if kind == "bbox" else "mask mAP")
        return {**metrics, "images": len(split.test)}

    def export(self, run: Run, folder: Path) -> None:
        tested = run.recorded("test")
        split = self.split()
        module = self.restored(run, split)
        with TemporaryDirectory() as temporary:
            sample = Path(temporary, "sample.jpg")
            write_jpeg(self.sample(split), str(sample), quality=92)
            Artifact(
                name=self.name,
                experiment=self,
                task=self.task,
                format="safetensors",
                labels=split.labels,
                architecture=self.model.served(len(split.labels)),
                metrics={name: value for name, value in tested.items() if name != "reference"},
                training=self.provenance(run, split, self.files().annotations.name),
                reference=tested["reference"],
            ).write(folder, module.network.state_dict(), sample, sorted(run.plots.iterdir()))

    def augmentations(self, path: Path, count: int) -> None:
        """Draw images of the data set, each next to its augmented versions."""
        seed_everything(self.seed, verbose=False)
        augment = self.augmentation.transform()
        images = CocoImages([p for p in self.split().training if p.annotations], self.masks, crowds=False)
        samples = [images.read(index) for index in chosen(len(images), count)]
        write_samples(path, samples, lambda sample: augment(*sample))

    def files(self, training: bool = True) -> CocoSettings:
        """The data set on disk. training: False if only the test data is needed."""
        if isinstance(self.data, GeneratedData):
            return CocoSettings.model_validate(self.data.files(training))
        return self.data

    def split(self, training: bool = True) -> Split:
        return self.files(training).split(self.masks, self.seed)

    def images(self, split: Split, reduced: Reduced | None = None) -> CocoData:
        """reduced: the size at which training reads each image."""
        augment = self.augmentation.transform()
        return CocoData(split, self.masks, self.batch_size, self.files().workers, augment, reduced)

    def restored(self, run: Run, split: Split) -> DetectionModule:
        """The best checkpoint, in evaluation mode."""
        network = self.model.network(len(split.labels))
        module = DetectionModule(network, split.labels, self.masks, self.learning)
        self.load_best(run, module)
        return module

    def sample(self, split: Split) -> Tensor:
        """The first test image that shows an object, to verify the archive with."""
        images = CocoImages([p for p in split.test if p.annotations], masks=False, crowds=True)
        return images[0][0]

    @torch.inference_mode()
    def draw(self, module: DetectionModule, images: CocoImages, path: Path) -> None:
        """Draw detections in colour with their scores, over true boxes in white; masks above the true masks."""
        found, true = [], []
        for index in chosen(len(images), 10 if self.masks else 20):
            image, target = images[index]
            [detections] = module.detect([(image.to(module.device), {})])
            detections = confident(detections, self.answer_threshold)
            if self.masks:
                detections["masks"] = detections["masks"][:, 0] >= MASK_THRESHOLD
                truth = {**target, "masks": target["masks"].bool(), "scores": torch.ones(len(target["labels"]))}
                true.append(draw_found(image, truth, module.labels))
                found.append(draw_found(image, detections, module.labels))
            else:
                found.append(draw_found(draw_boxes(image, target["boxes"], "white"), detections, module.labels))
        if self.masks:
            write_pairs(found, true, path)
        else:
            write_grid(found, path)


def reference(found: list[dict[str, Tensor]], labels: list[str], threshold: float) -> dict[str, Any]:
    """Statistics of the detections above a score threshold, as a reference for those in production.

    class mix: the share of each class in all detections. detections per image: mean, and the shares of images with 0,
    1, 2, … detections (the last entry includes all above).
    """
    kept = [confident(item, threshold) for item in found]
    indices = torch.cat([item["labels"] for item in kept]).numpy()
    counts = np.array([len(item["labels"]) for item in kept])
    total = max(1, len(indices))
    mix = np.bincount(indices, minlength=len(labels)) / total
    scores = torch.cat([item["scores"] for item in kept]).numpy()
    histogram = np.bincount(np.minimum(counts, 20), minlength=1) / len(counts)
    return {
        "score threshold": threshold,
        "images": len(kept),
        "class mix": {label: round(float(part), 4) for label, part in zip(labels[1:], mix[1:], strict=True)},
        "mean score": round(float(scores.mean()), 4) if len(scores) else None,
        "detections per image": {
            "mean": round(float(counts.mean()), 4),
            "parts": [round(float(part), 4) for part in histogram],
        },
    }
