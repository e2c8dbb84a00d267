"""The stages that detection and segmentation share: fine-tuning a published network on annotated images."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule, seed_everything

from train.core import checkpoint
from train.core.experiment import Staged
from train.core.generated_data import GeneratedData
from train.core.optimization import Optimization
from train.core.run import Run, is_first_process
from train.core.stored_weights import round_weights
from train.core.trainer import TrainerSettings, quiet_trainer
from train.vision.annotated_split import AnnotatedSplit
from train.vision.fine_tuning import FineTunedModule


class AnnotatedExperiment(Staged):
    """data: annotated images, either the user's own or generated."""

    data: Any
    learning: Optimization = Optimization()
    trainer: TrainerSettings = TrainerSettings()

    def record_data(self, run: Run, split: AnnotatedSplit[Any]) -> None:
        """Report and record the training data."""
        if is_first_process():
            print(f"{self.name}: {split}")
        run.record("data", split.describe())

    def begin(self) -> None:
        """Check the training settings and seed every process."""
        self.trainer.check()
        seed_everything(self.seed, workers=True, verbose=False)

    def measure_on(self, module: FineTunedModule, data: LightningDataModule) -> None:
        """Evaluate the module on the test images, on one device."""
        lightning = quiet_trainer(
            accelerator=self.trainer.accelerator, devices=1, logger=False, enable_checkpointing=False
        )
        lightning.test(module, data, verbose=False)

    def load_best(self, run: Run, module: FineTunedModule) -> None:
        """Load the best checkpoint, with its weights as stored, and switch to evaluation mode."""
        found = checkpoint.load(run.best)
        with checkpoint.of_this_model(run.best):
            module.load_state_dict(found["state_dict"])
        round_weights(module.network, self.stored_weights)
        module.eval()

    def provenance(self, run: Run, split: AnnotatedSplit[Any], files: str) -> dict[str, Any]:
        """The artifact's training record. files: name of the user's annotations."""
        fitted = run.recorded("fit")
        return {
            "data": self.data.source if isinstance(self.data, GeneratedData) else files,
            **{f"{name} images": len(images) for name, images in split.parts.items()},
            **self.model_dump(mode="json", exclude={"name", "system", "data"}),
            "epochs": fitted["epochs"],
            "steps": fitted["steps"],
        }
