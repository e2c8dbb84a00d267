"""`system: audio-classification`: a classifier of short sounds, trained on the user's own recordings."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import soundfile
import torch
from lightning.pytorch import seed_everything
from pydantic import Field, SerializeAsAny, WrapValidator
from sklearn.metrics import confusion_matrix
from torch import Generator, Tensor

from handlers.networks.featured import Featured
from handlers.networks.keyword_spotting import KeywordSpotting
from handlers.networks.weights import load_weights
from train.audio.augmentation.recipe import Augmentation
from train.audio.classification.data import AudioData, AudioSettings, Recordings, place
from train.audio.classification.evaluation import Evaluation, evaluate
from train.audio.classification.module import AudioClassifier
from train.core import checkpoint
from train.core.artifact import Artifact
from train.core.config import ExperimentError, StrictModel
from train.core.experiment import Staged
from train.core.file_list import SPLITS, FileList
from train.core.generated_data import GeneratedData, by_source
from train.core.optimization import ClassifierOptimization
from train.core.run import Run, is_first_process
from train.core.stored_weights import round_weights
from train.core.trainer import TrainerSettings
from train.plots.confusion import plot_confusion
from train.plots.prediction_table import write_predictions
from train.plots.spectrograms import write_spectrograms

# The user's own recordings, or one of the project's data sets by name, such as {"source": "spoken-digits"}.
if TYPE_CHECKING:
    AudioDataset = AudioSettings | GeneratedData
else:
    AudioDataset = SerializeAsAny[Annotated[AudioSettings, WrapValidator(by_source)]]
# A server's own limit is a minute.
SAMPLE_SECONDS = 30
FACTORY = "handlers.networks.keyword_spotting.KeywordSpotting"


class Network(StrictModel):
    """A network of convolutions over time on log-mel features (Choi et al. 2019)."""

    sample_rate: int = Field(default=16_000, ge=4_000, le=48_000, description="Hz; recordings are resampled to it")
    mels: int = Field(default=40, ge=8, le=512, description="number of mel bands")
    width: int = Field(default=64, ge=8, le=4_096, description="channels of the first layer")

    def arguments(self, classes: int) -> dict[str, int]:
        return {"classes": classes, **self.model_dump()}


class Learning(ClassifierOptimization):
    learning_rate: float = Field(default=2e-3, gt=0, description="peak learning rate")
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)


class AudioClassification(Staged):
    """data: recordings by class. model: the network. learning: optimizer and schedule.

    seconds: length of the network's window; longer recordings are split into windows in serving, and cropped at
        random in training.
    """

    data: AudioDataset
    model: Network = Network()
    seconds: float = Field(default=1.0, gt=0, le=60)
    augmentation: Augmentation = Augmentation()
    learning: Learning = Learning()
    trainer: TrainerSettings = TrainerSettings(epochs=30)
    batch_size: int = Field(default=64, ge=2, le=1 << 16)

    def fit(self, run: Run) -> None:
        self.trainer.check()
        seed_everything(self.seed, workers=True, verbose=False)
        listed = self.files().prepare(run, self.seed, self.model.sample_rate)
        if is_first_process():
            counts = ", ".join(f"{len(listed.of(split))} {split}" for split in SPLITS)
            print(f"{self.name}: {len(classes_of(listed))} classes; recordings: {counts}; skipped: {len(listed.bad)}")
        self.trainer.fit(run, self.module(listed), self.batches(listed), monitor="val/accuracy", fixed_sizes=True)

    def test(self, run: Run) -> None:
        listed, network = self.restored(run)
        recordings = self.held_out(listed, self.files())
        found = evaluate(network, recordings, classes_of(listed), self.seconds)
        metrics = found.metrics(self.files().group)
        names = classes_of(listed)
        confusion = confusion_matrix(found.labels, found.predicted, labels=range(len(names)))
        plot_confusion(confusion, names, f"{self.name}: accuracy {metrics['accuracy']}", run.plots / "confusion.png")
        files = [example.file for example in recordings.examples]
        write_predictions(run.plots / "predictions.csv", files, found.labels, found.probabilities, names)
        self.draw_mistakes(run.plots / "mistakes.png", recordings, found)
        run.record("test", {**metrics, "reference": found.reference()})
        print(f"{self.name}: {json.dumps(metrics)}")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        files = self.files(training=False)
        # A generated test set is complete in itself; the user's own files are split as they were for training.
        generated = isinstance(self.data, GeneratedData)
        listed = files.listed() if generated else files.divided(self.seed, self.model.sample_rate)
        names = classes_of(listed)
        network = KeywordSpotting(**self.model.arguments(len(names)))
        load_weights(network, folder / "weights.safetensors")
        return evaluate(network, self.held_out(listed, files), names, self.seconds).metrics(files.group)

    def export(self, run: Run, folder: Path) -> None:
        tested, fitted = run.recorded("test"), run.recorded("fit")
        listed, network = self.restored(run)
        names = classes_of(listed)
        with TemporaryDirectory() as temporary:
            sample = Path(temporary, "sample.wav")
            waveform, _ = self.held_out(listed, self.files())[0]
            soundfile.write(
                sample,
                waveform[: SAMPLE_SECONDS * self.model.sample_rate].numpy(),
                self.model.sample_rate,
                subtype="PCM_16",
            )
            Artifact(
                name=self.name,
                experiment=self,
                task="audio-classification",
                format="safetensors",
                labels=names,
                architecture={"factory": FACTORY, "arguments": self.model.arguments(len(names))},
                preprocessing={"sample_rate": self.model.sample_rate, "seconds": self.seconds},
                metrics={name: value for name, value in tested.items() if name != "reference"},
                training={
                    "data": self.data.source if isinstance(self.data, GeneratedData) else self.data.folder.name,
                    "recordings": {split: len(listed.of(split)) for split in SPLITS},
                    "unreadable": len(listed.bad),
                    **self.model_dump(mode="json", exclude={"name", "system", "data"}),
                    "epochs": fitted["epochs"],
                    "steps": fitted["steps"],
                },
                reference=tested["reference"],
            ).write(folder, network.state_dict(), sample, sorted(run.plots.iterdir()))

    def augmentations(self, path: Path, count: int) -> None:
        """Draw spectrograms of recordings, each next to its augmented versions."""
        seed_everything(self.seed, verbose=False)
        files = self.files()
        listed = files.divided(self.seed, self.model.sample_rate)
        recordings = Recordings(listed, "train", files.folder, self.model.sample_rate)
        if not len(recordings):
            raise ExperimentError("data: no training recordings")
        recipe = self.augmentation.recipe(self.model.sample_rate, self.seed)
        random = Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(recordings), generator=random)[:count].tolist()
        clean = torch.stack([place(recordings[index][0], self.samples, random) for index in chosen])
        columns = [clean, *(recipe(clean, random) for _ in range(5))]
        tiles = [column[row] for row in range(len(chosen)) for column in columns]
        titles = [recordings.examples[index].labels[0] for index in chosen]
        captions = [title if column == 0 else "" for title in titles for column in range(len(columns))]
        write_spectrograms(path, tiles, captions, self.model.sample_rate, len(columns))

    @property
    def samples(self) -> int:
        return round(self.seconds * self.model.sample_rate)

    def files(self, training: bool = True) -> AudioSettings:
        """The data set on disk. training: False if only the test data is needed."""
        if isinstance(self.data, GeneratedData):
            return AudioSettings.model_validate(self.data.files(training))
        return self.data

    def module(self, listed: FileList) -> AudioClassifier:
        classes = len(classes_of(listed))
        network = KeywordSpotting(**self.model.arguments(classes))
        return AudioClassifier(network, classes, self.learning, self.augmentation.mask)

    def batches(self, listed: FileList) -> AudioData:
        recipe = self.augmentation.recipe(self.model.sample_rate, self.seed)
        return AudioData(listed, self.files(), self.model.sample_rate, self.samples, recipe, self.batch_size)

    def restored(self, run: Run) -> tuple[FileList, Featured]:
        """The run's files, and the network of its best checkpoint, in evaluation mode."""
        listed = self.files().prepare(run, self.seed, self.model.sample_rate)
        module = self.module(listed)
        found = checkpoint.load(run.best)
        with checkpoint.of_this_model(run.best):
            module.load_state_dict(found["state_dict"])
        network = module.network
        round_weights(network, self.stored_weights)
        return listed, network.eval()

    def held_out(self, listed: FileList, files: AudioSettings) -> Recordings:
        """The test recordings, or the validation recordings if there is no test split."""
        split = "test" if listed.of("test") else "validation"
        return Recordings(listed, split, files.folder, self.model.sample_rate)

    def draw_mistakes(self, path: Path, recordings: Recordings, found: Evaluation) -> None:
        """Draw spectrograms: the most confident mistakes first, then other recordings."""
        sure, wrong = found.probabilities.max(1), found.predicted != found.labels
        order = sorted(range(len(sure)), key=lambda index: (not wrong[index], -sure[index]))[:24]
        tiles: list[Tensor] = [recordings[index][0] for index in order]
        captions = [
            f"{found.classes[found.predicted[index]]} {sure[index]:.2f}"
            + (f"\ntrue: {found.classes[found.labels[index]]}" if wrong[index] else "")
            for index in order
        ]
        write_spectrograms(path, tiles, captions, self.model.sample_rate, 6)


def classes_of(listed: FileList) -> list[str]:
    [classes] = listed.tasks.values()
    return classes
