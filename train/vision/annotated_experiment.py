"""The stages that detection and segmentation share: a published network fine-tuned on annotated images."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, seed_everything

from train.core.experiment import Staged
from train.core.generated_data import GeneratedData
from train.core.optimization import Optimization
from train.core.run import Run, is_first_process
from train.core.stored_weights import round_weights
from train.core.trainer import TrainerSettings, quiet_trainer
from train.vision.annotated_split import AnnotatedSplit
from train.vision.fine_tuning import FineTunedModule


class AnnotatedExperiment(Staged):
    """data: annotated images, a user's own or generated."""

    data: Any
    learning: Optimization = Optimization()
    trainer: TrainerSettings = TrainerSettings()

    def record_data(self, run: Run, split: AnnotatedSplit[Any]) -> None:
        """Report and record what the training is about to learn from."""
        if is_first_process():
            print(f"{self.name}: {split}")
        run.record("data", split.describe())

    def begin(self) -> None:
        """Check the settings of the training, and seed every process."""
        self.trainer.check()
        seed_everything(self.seed, workers=True, verbose=False)

    def measure_on(self, module: FineTunedModule, data: LightningDataModule) -> None:
        """Let the module measure itself on the test's images, on one device."""
        lightning = quiet_trainer(
            accelerator=self.trainer.accelerator, devices=1, logger=False, enable_checkpointing=False
        )
        lightning.test(module, data, verbose=False)

    def load_best(self, run: Run, module: FineTunedModule) -> None:
        """Load the best checkpoint, with the weights as they are stored, in evaluation mode."""
        module.load_state_dict(torch.load(run.best, map_location="cpu", weights_only=True)["state_dict"])
        round_weights(module.network, self.stored_weights)
        module.eval()

    def provenance(self, run: Run, split: AnnotatedSplit[Any], files: str) -> dict[str, Any]:
        """For the artifact's record of its training. files: the name of a user's own annotations."""
        fitted = run.recorded("fit")
        return {
            "data": self.data.source if isinstance(self.data, GeneratedData) else files,
            **{f"{name} images": len(images) for name, images in split.parts.items()},
            **self.model_dump(mode="json", exclude={"name", "system", "data"}),
            "epochs": fitted["epochs"],
            "steps": fitted["steps"],
        }
