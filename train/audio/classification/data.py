"""The user's own recordings and their classes, for training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from pydantic import Field, ValidationInfo, field_validator
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from handlers.audio.decoding import decode_audio
from handlers.errors import RequestError
from handlers.protocol.payload import Payload
from train.audio.augmentation.recipe import Recipe
from train.core.config import AbsolutePath, ExperimentError, StrictModel
from train.core.data_file import reason
from train.core.file_list import Example, FileList
from train.core.labelled_files import FileReader, list_folders, list_table, report, table_path
from train.core.loading import MAX_LOADERS, cores, loaders
from train.core.progress import progress
from train.core.run import Run, is_first_process

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
MAX_SECONDS = 600.0
MAX_SAMPLES = 120_000_000  # MAX_SECONDS of stereo at 96 kHz
WAIT_S = 0.5

Item = tuple[Tensor, int]
Batch = tuple[Tensor, Tensor]


class AudioSettings(StrictModel):
    """Where the recordings are, and how they are split and loaded."""

    folder: AbsolutePath = Field(description="a folder of class folders, or of split folders that contain them")
    labels: Path | None = Field(
        default=None, description="a CSV file with the columns file,<label>[,split]; files are relative to it"
    )
    group: str | None = Field(
        default=None, description="the CSV column of groups that must not be in two splits, such as speakers"
    )
    validation_share: float = Field(
        default=0.15, gt=0, lt=1, description="share of the recordings, if the data has no split of its own"
    )
    test_share: float = Field(
        default=0.15, ge=0, lt=1, description="the same for the test; 0 tests on the validation recordings"
    )
    check: bool = Field(default=True, description="decode every file before the first epoch")
    workers: int | None = Field(
        default=None, ge=0, le=MAX_LOADERS, description="loader processes; depends on the cores by default"
    )

    @field_validator("labels")
    @classmethod
    def found(cls, labels: Path | None, info: ValidationInfo) -> Path | None:
        return table_path(info.data["folder"], labels) if labels is not None and "folder" in info.data else labels

    def listed(self) -> FileList:
        """All recordings with their labels, not yet checked or split. Raises ExperimentError."""
        if self.labels is None:
            if self.group is not None:
                raise ExperimentError("data.group: needs data.labels, a CSV file with this column")
            return list_folders(self.folder, SUFFIXES)
        listed = list_table(self.folder, self.labels, group=self.group)
        if len(listed.tasks) != 1:
            raise ExperimentError(
                f"data.labels: {self.labels} has the columns {', '.join(listed.tasks)}; wanted one label column "
                "besides file, split and data.group"
            )
        return listed

    def divided(self, seed: int, sample_rate: int) -> FileList:
        """The readable recordings by split; the same seed gives the same splits. Raises ExperimentError."""
        listed = self.listed()
        if self.check:
            listed = listed.without(unreadable(listed.examples, FileReader(self.folder), sample_rate))
        report(listed)
        return listed.divided(self.validation_share, self.test_share, seed)

    def prepare(self, run: Run, seed: int, sample_rate: int) -> FileList:
        """The run's recordings: listed, checked and split once, by the first process.

        The list is stored with the run, so that a resumed run holds out the same recordings.
        """
        folder = run.folder / "data"
        if not (folder / "data.json").is_file():
            if is_first_process():
                self.divided(seed, sample_rate).write(folder)
            while not (folder / "data.json").is_file():
                time.sleep(WAIT_S)  # torchrun ends this process if the first one fails
        return FileList.read(folder)[0]


def read_recording(data: bytes, sample_rate: int) -> Tensor:
    """Decode to (samples,) in [-1, 1], as a server does. Raises RequestError for a broken or too long recording."""
    return decode_audio(Payload(data), sample_rate, MAX_SECONDS, MAX_SAMPLES)


def unreadable(examples: Sequence[Example], read: FileReader, sample_rate: int) -> dict[str, str]:
    """Decode every file, with a progress bar. Return the reason by unreadable file."""

    def problem(example: Example) -> str | None:
        try:
            read_recording(read(example.file), sample_rate)
        except RequestError as error:
            return str(error)
        except OSError as error:
            return reason(error)
        return None

    bad: dict[str, str] = {}
    with ThreadPoolExecutor(cores()) as pool, progress() as bar:
        task = bar.add_task("checking recordings", total=len(examples), info="")
        for example, found in zip(examples, pool.map(problem, examples), strict=True):
            if found is not None:
                bad[example.file] = found
                bar.update(task, info=f"{len(bad)} unreadable of {len(examples)}")
            bar.advance(task)
    return bad


class Recordings(Dataset[Item]):
    """Items (waveform (samples,), class index), each of its own length."""

    def __init__(self, listed: FileList, split: str, root: Path, sample_rate: int) -> None:
        self.examples = listed.of(split)
        self.labels = [listed.indices(example)[0] for example in self.examples]
        self.read = FileReader(root)
        self.sample_rate = sample_rate

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Item:
        file = self.examples[index].file
        try:
            return read_recording(self.read(file), self.sample_rate), self.labels[index]
        except (RequestError, OSError) as error:
            raise ExperimentError(f"data: {file}: {error}; with data.check it would have been left out") from None


@dataclass(frozen=True)
class Collate:
    """Recordings of any length → (waveforms (B, samples), labels (B,)), placed at random and augmented.

    seed: repeats the same positions and augmentation for every batch; None draws new ones each time.
    """

    samples: int
    recipe: Recipe | None
    seed: int | None = None

    def __call__(self, items: Sequence[Item]) -> Batch:
        # Lightning seeds torch in every process that prepares batches.
        seed = int(torch.randint(2**62, ())) if self.seed is None else self.seed
        random = Generator().manual_seed(seed)
        clean = torch.stack([place(waveform, self.samples, random) for waveform, _ in items])
        labels = torch.tensor([label for _, label in items])
        return clean if self.recipe is None else self.recipe(clean, random), labels


def place(waveform: Tensor, samples: int, random: Generator) -> Tensor:
    """Place the recording at random in a window of `samples`, or cut a random window from a longer one."""
    spare = samples - len(waveform)
    start = int(torch.randint(abs(spare) + 1, (1,), generator=random))
    if spare < 0:
        return waveform[start : start + samples]
    window = torch.zeros(samples)
    window[start : start + len(waveform)] = waveform
    return window


class AudioData(LightningDataModule):
    """Batches for training, augmented differently in each epoch, and for validation, always the same."""

    def __init__(
        self, listed: FileList, settings: AudioSettings, sample_rate: int, samples: int, recipe: Recipe, batch_size: int
    ) -> None:
        super().__init__()
        self.listed = listed
        self.settings = settings
        self.sample_rate = sample_rate
        self.samples = samples
        self.recipe = recipe
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        recordings = self.recordings("train")
        # Batch norm statistics of a single recording would be meaningless.
        return self.loader("train", None, shuffle=True, drop_last=len(recordings) > self.batch_size)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.loader("validation", 0)

    def recordings(self, split: str) -> Recordings:
        return Recordings(self.listed, split, self.settings.folder, self.sample_rate)

    def loader(self, split: str, seed: int | None, **options: Any) -> DataLoader[Any]:
        workers = loaders(self, self.settings.workers)
        return DataLoader(
            self.recordings(split),
            self.batch_size,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=Collate(self.samples, self.recipe, seed),
            pin_memory=torch.cuda.is_available(),
            **options,
        )
