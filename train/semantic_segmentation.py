"""`system: semantic-segmentation`: a class for every pixel, learnt from a user's own COCO file or label maps."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from lightning.pytorch import seed_everything
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torchvision import tv_tensors
from torchvision.io import write_jpeg

from handlers.vision.transform import ImageTransform
from train.artifact import Artifact
from train.augmentation_grid import write_grid as write_samples
from train.confusion import plot_confusion
from train.experiment import Staged
from train.fine_tuning import FineTuning
from train.gallery import chosen, draw_label_map, write_pairs
from train.label_map_data import LabelMapData, LabelSettings, LabelSplit, MeasuredPictures
from train.picture_file import read_picture
from train.run import Run, is_first_process
from train.segmentation_augmentation import SegmentationAugmentation
from train.segmentation_module import SegmentationModule
from train.segmenters import AUXILIARY, SegmenterSettings
from train.stored_weights import round_weights
from train.trainer import TrainerSettings, quiet_trainer

# A class that fills less than this part of a picture is not counted as seen there.
SEEN = 0.001


class SemanticSegmentation(Staged):
    """data: pictures, and masks or label maps. model: the network. learning: optimizer and its schedule.

    image_size: height and width of the network's input, multiples of 32; every picture is resized to it, in training
        and by the server.
    batch_size: pictures a device learns from at once, two at least for the batch norms over pooled features.
    """

    data: LabelSettings
    model: SegmenterSettings = SegmenterSettings()
    augmentation: SegmentationAugmentation = SegmentationAugmentation()
    learning: FineTuning = FineTuning(learning_rate=1e-3)
    trainer: TrainerSettings = TrainerSettings()
    image_size: tuple[int, int] = (512, 512)
    batch_size: int = Field(default=8, ge=2)

    @property
    def transform(self) -> ImageTransform:
        return ImageTransform(resize=self.image_size)

    def fit(self, run: Run) -> None:
        seed_everything(self.seed, workers=True, verbose=False)
        split = self.data.split(self.seed)
        if is_first_process():
            print(f"{self.name}: {split}")
        run.record("data", split.describe())
        network = self.model.network(len(split.labels))
        published = self.model.initialise(network)
        keep = published if self.model.keep_statistics else []
        module = SegmentationModule(
            network, split.labels, self.transform, self.learning, self.model.auxiliary_weight, keep
        )
        self.trainer.fit(run, module, self.pictures(split), monitor="mean IoU")

    def test(self, run: Run) -> None:
        split = self.data.split(self.seed)
        module = self.restored(run, split)
        data = self.pictures(split)
        lightning = quiet_trainer(
            accelerator=self.trainer.accelerator, devices=1, logger=False, enable_checkpointing=False
        )
        lightning.test(module, data, verbose=False)
        measured = module.measured
        if measured is None:
            raise RuntimeError("Lightning tested without the end of an epoch")
        title = f"{self.name}: mean IoU {measured.mean:.3f}"
        plot_confusion(measured.confusion, split.labels, title, run.plots / "confusion.png")
        self.draw(module, data.test, run.plots / "examples.png")
        metrics = measured.to_dict(split.labels)
        found = {**metrics, "pictures": len(split.test), "reference": reference(module.parts, split.labels)}
        run.record("test", found)
        print(f"{self.name}: {json.dumps(metrics)}")

    def export(self, run: Run, folder: Path) -> None:
        tested, fitted = run.recorded("test"), run.recorded("fit")
        split = self.data.split(self.seed)
        network = self.restored(run, split).network
        weights = {name: value for name, value in network.state_dict().items() if not name.startswith(AUXILIARY)}
        with TemporaryDirectory() as temporary:
            sample = Path(temporary, "sample.jpg")
            write_jpeg(read_picture(split.test[0].path), str(sample), quality=92)
            Artifact(
                name=self.name,
                experiment=self,
                task="semantic-segmentation",
                format="safetensors",
                labels=split.labels,
                architecture=self.model.served(len(split.labels)),
                preprocessing=self.transform.to_dict(),
                metrics={name: value for name, value in tested.items() if name != "reference"},
                training={
                    "data": self.data.name,
                    **{f"{name} pictures": len(getattr(split, name)) for name in ("training", "validation", "test")},
                    **self.model_dump(mode="json", exclude={"name", "system", "data"}),
                    "epochs": fitted["epochs"],
                    "steps": fitted["steps"],
                },
                reference=tested["reference"],
            ).write(folder, weights, sample, sorted(run.plots.glob("*.png")))

    def augmentations(self, path: Path, count: int) -> None:
        """Draw pictures of the data set, each beside what training makes of it, a colour for each class."""
        seed_everything(self.seed, verbose=False)
        augment = self.augmentation.transform(self.image_size)
        split = self.data.split(self.seed)
        pictures = MeasuredPictures(split.training)

        def shown(image: Tensor, label_map: Tensor) -> tuple[Tensor, dict[str, Any]]:
            classes = torch.arange(1, len(split.labels))[:, None, None]
            return image, {"label map": label_map, "masks": label_map.as_subclass(Tensor) == classes}

        def augmented(sample: tuple[Tensor, dict[str, Any]]) -> tuple[Tensor, dict[str, Any]]:
            return shown(*augment(tv_tensors.Image(sample[0]), tv_tensors.Mask(sample[1]["label map"])))

        write_samples(path, [shown(*pictures[index]) for index in chosen(len(pictures), count)], augmented)

    def pictures(self, split: LabelSplit) -> LabelMapData:
        augment = self.augmentation.transform(self.image_size)
        return LabelMapData(split, self.transform, augment, self.batch_size, self.data.workers)

    def restored(self, run: Run, split: LabelSplit) -> SegmentationModule:
        """The best checkpoint, in evaluation mode."""
        network = self.model.network(len(split.labels))
        module = SegmentationModule(network, split.labels, self.transform, self.learning)
        module.load_state_dict(torch.load(run.best, map_location="cpu", weights_only=True)["state_dict"])
        round_weights(network, self.stored_weights)
        return module.eval()

    @torch.inference_mode()
    def draw(self, module: SegmentationModule, pictures: MeasuredPictures, path: Path) -> None:
        predicted, true = [], []
        for index in chosen(len(pictures), 10):
            image, mask = pictures[index]
            [label_map] = module.predict([image.to(module.device)])
            predicted.append(draw_label_map(image, label_map.cpu()))
            true.append(draw_label_map(image, mask))
        write_pairs(predicted, true, path)


def reference(parts: list[NDArray[np.float64]], labels: list[str]) -> dict[str, Any]:
    """What the answers look like: to compare those of production with.

    pixels: the part of each class in all predictions. seen: the part of the pictures in which it was found.
    """
    table = np.stack(parts)
    pixels, seen = table.mean(0), (table >= SEEN).mean(0)
    return {
        "pictures": len(parts),
        "pixels": {label: round(float(part), 4) for label, part in zip(labels, pixels, strict=True)},
        "seen": {label: round(float(part), 4) for label, part in zip(labels, seen, strict=True)},
    }
