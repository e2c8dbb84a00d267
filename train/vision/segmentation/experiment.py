"""`system: semantic-segmentation`: a class for every pixel, trained on the user's own COCO file or label maps."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from lightning.pytorch import seed_everything
from numpy.typing import NDArray
from pydantic import Field, SerializeAsAny, WrapValidator
from torch import Tensor
from torchvision import tv_tensors
from torchvision.io import write_jpeg

from handlers.networks.weights import load_weights
from handlers.vision.transform import ImageTransform
from train.core.artifact import Artifact
from train.core.generated_data import GeneratedData, by_source
from train.core.optimization import Optimization
from train.core.run import Run
from train.plots.augmentations import write_grid as write_samples
from train.plots.confusion import plot_confusion
from train.plots.predictions import chosen, draw_label_map, write_pairs
from train.vision.annotated_experiment import AnnotatedExperiment
from train.vision.images import read_file
from train.vision.segmentation.augmentation import SegmentationAugmentation
from train.vision.segmentation.data import LabelMapData, LabelSettings, LabelSplit, MeasuredImages
from train.vision.segmentation.models import AUXILIARY, SegmenterSettings
from train.vision.segmentation.module import Overlap, SegmentationModule

# A class that fills a smaller share of an image does not count as seen there.
SEEN = 0.001


class Learning(Optimization):
    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of all layers except the backbone")


# The user's own files, or one of the project's data sets by name, such as {"source": "shapes"}.
if TYPE_CHECKING:
    SegmentationData = LabelSettings | GeneratedData
else:
    SegmentationData = SerializeAsAny[Annotated[LabelSettings, WrapValidator(by_source)]]


class SemanticSegmentation(AnnotatedExperiment):
    """data: images, and masks or label maps. model: the network. learning: optimizer and schedule.

    image_size: height and width of the network's input, multiples of 32; every image is resized to it, in training
        and serving.
    batch_size: images per device and step; at least two because of the batch norms over pooled features.
    dice_weight: weight of the soft Dice loss, relative to the cross-entropy; it counts all classes equally, however
        few pixels they have.
    """

    data: SegmentationData
    model: SegmenterSettings = SegmenterSettings()
    augmentation: SegmentationAugmentation = SegmentationAugmentation()
    learning: Learning = Learning()
    image_size: tuple[int, int] = (512, 512)
    batch_size: int = Field(default=8, ge=2, le=1 << 16)
    dice_weight: float = Field(default=0.0, ge=0)

    @property
    def transform(self) -> ImageTransform:
        return ImageTransform(resize=self.image_size)

    def fit(self, run: Run) -> None:
        self.begin()
        split = self.split()
        self.record_data(run, split)
        network = self.model.network(len(split.labels))
        published = self.model.initialise(network)
        keep = published if self.model.keep_statistics else []
        module = SegmentationModule(
            network, split.labels, self.transform, self.learning, self.model.auxiliary_weight, keep, self.dice_weight
        )
        self.trainer.fit(run, module, self.images(split), monitor="mean IoU", fixed_sizes=True)

    def test(self, run: Run) -> None:
        split = self.split()
        module = self.restored(run, split)
        measured = self.measure(module, split)
        title = f"{self.name}: mean IoU {measured.mean:.3f}"
        plot_confusion(measured.confusion, split.labels, title, run.plots / "confusion.png")
        self.draw(module, self.images(split).test, run.plots / "examples.jpg")
        metrics = {**measured.to_dict(split.labels), "images": len(split.test)}
        run.record("test", {**metrics, "reference": reference(module.parts, split.labels)})
        print(f"{self.name}: {json.dumps(metrics)}")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        split = self.split(training=False)
        served = self.model.model_copy(update={"auxiliary_weight": 0.0})  # without the second head
        network = served.network(len(split.labels))
        load_weights(network, folder / "weights.safetensors")
        module = SegmentationModule(network, split.labels, self.transform, self.learning)
        return {**self.measure(module, split).to_dict(split.labels), "images": len(split.test)}

    def measure(self, module: SegmentationModule, split: LabelSplit) -> Overlap:
        """Intersection over union on the test images."""
        self.measure_on(module, self.images(split))
        if module.measured is None:
            raise RuntimeError("Lightning's test ended without an epoch end")
        return module.measured

    def export(self, run: Run, folder: Path) -> None:
        tested = run.recorded("test")
        split = self.split()
        network = self.restored(run, split).network
        weights = {name: value for name, value in network.state_dict().items() if not name.startswith(AUXILIARY)}
        with TemporaryDirectory() as temporary:
            sample = Path(temporary, "sample.jpg")
            write_jpeg(read_file(split.test[0].path), str(sample), quality=92)
            Artifact(
                name=self.name,
                experiment=self,
                task="semantic-segmentation",
                format="safetensors",
                labels=split.labels,
                architecture=self.model.served(len(split.labels)),
                preprocessing=self.transform.to_dict(),
                metrics={name: value for name, value in tested.items() if name != "reference"},
                training=self.provenance(run, split, self.files().name),
                reference=tested["reference"],
            ).write(folder, weights, sample, sorted(run.plots.iterdir()))

    def augmentations(self, path: Path, count: int) -> None:
        """Draw images of the data set, each next to its augmented versions, with one colour per class."""
        seed_everything(self.seed, verbose=False)
        augment = self.augmentation.transform(self.image_size)
        split = self.split()
        images = MeasuredImages(split.training)

        def shown(image: Tensor, label_map: Tensor) -> tuple[Tensor, dict[str, Any]]:
            classes = torch.arange(1, len(split.labels))[:, None, None]
            return image, {"label map": label_map, "masks": label_map.as_subclass(Tensor) == classes}

        def augmented(sample: tuple[Tensor, dict[str, Any]]) -> tuple[Tensor, dict[str, Any]]:
            return shown(*augment(tv_tensors.Image(sample[0]), tv_tensors.Mask(sample[1]["label map"])))

        write_samples(path, [shown(*images[index]) for index in chosen(len(images), count)], augmented)

    def files(self, training: bool = True) -> LabelSettings:
        """The data set on disk. training: False if only the test data is needed."""
        if isinstance(self.data, GeneratedData):
            return LabelSettings.model_validate(self.data.files(training))
        return self.data

    def split(self, training: bool = True) -> LabelSplit:
        return self.files(training).split(self.seed)

    def images(self, split: LabelSplit) -> LabelMapData:
        augment = self.augmentation.transform(self.image_size)
        return LabelMapData(split, self.transform, augment, self.batch_size, self.files().workers)

    def restored(self, run: Run, split: LabelSplit) -> SegmentationModule:
        """The best checkpoint, in evaluation mode."""
        network = self.model.network(len(split.labels))
        module = SegmentationModule(network, split.labels, self.transform, self.learning)
        self.load_best(run, module)
        return module

    @torch.inference_mode()
    def draw(self, module: SegmentationModule, images: MeasuredImages, path: Path) -> None:
        predicted, true = [], []
        for index in chosen(len(images), 10):
            image, mask = images[index]
            [label_map] = module.predict([image.to(module.device)])
            predicted.append(draw_label_map(image, label_map.cpu()))
            true.append(draw_label_map(image, mask))
        write_pairs(predicted, true, path)


def reference(parts: list[NDArray[np.float64]], labels: list[str]) -> dict[str, Any]:
    """Statistics of the predictions, as a reference for those in production.

    pixels: the share of each class in all predicted pixels. seen: the share of images in which it was predicted.
    """
    table = np.stack(parts)
    pixels, seen = table.mean(0), (table >= SEEN).mean(0)
    return {
        "images": len(parts),
        "pixels": {label: round(float(part), 4) for label, part in zip(labels, pixels, strict=True)},
        "seen": {label: round(float(part), 4) for label, part in zip(labels, seen, strict=True)},
    }
