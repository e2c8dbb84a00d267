"""`system: huggingface`: a model of the Hugging Face hub, or of a local folder, as an artifact."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import soundfile
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from transformers import AutoConfig, AutoFeatureExtractor

from train.artifact import Artifact
from train.experiment import Experiment, ExperimentError
from train.speech_synthesis import Voice, sample_rate, speak

# Weights as safetensors and what a tokenizer needs; no pickles, no code.
FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]

Task = Literal["text-classification", "audio-classification", "audio-embedding"]
AUDIO = ("audio-classification", "audio-embedding")


class HuggingFace(Experiment):
    """repository: an id of the hub, as owner/name, or a folder. revision: a branch, tag or commit of the repository.

    max_length: tokens the served model reads. seconds: of a window over longer recordings, for models of audio.
    sample: a text for the warm-up and the archive's verification; models of audio hear it spoken.
    """

    repository: str
    revision: str = "main"
    task: Task = "text-classification"
    max_length: int = 512
    seconds: float = 10.0
    sample: str

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        print(f"{self.name}: {self.repository} at {self.revision}")
        source = self.fetch()
        if not list(source.glob("*.safetensors")):
            raise ExperimentError(f"{self.repository} has no safetensors weights; pickled ones are not loaded")
        names = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False).id2label
        audio = self.task in AUDIO
        with TemporaryDirectory() as temporary:
            weights = Path(temporary, "weights")
            weights.mkdir()
            for pattern in FILES:
                for file in source.glob(pattern):
                    shutil.copy(file, weights)
            sample = Path(temporary, "sample.wav" if audio else "sample.txt")
            if audio:
                soundfile.write(sample, speak(self.sample, Voice("en-us")), sample_rate(), subtype="PCM_16")
            else:
                sample.write_text(self.sample, encoding="utf-8")
            Artifact(
                name=self.name,
                task=self.task,
                format="huggingface",
                labels=[] if self.task == "audio-embedding" else [names[index] for index in range(len(names))],
                preprocessing=self.of_audio(source) if audio else {"max_length": self.max_length},
                training={
                    "source": self.repository,
                    "revision": source.name if source.parent.name == "snapshots" else self.revision,
                    "seconds": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample)

    def of_audio(self, source: Path) -> dict[str, Any]:
        try:
            extractor = AutoFeatureExtractor.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise ExperimentError(f"{self.repository} has no feature extractor for {self.task}: {said}") from None
        return {"sample_rate": extractor.sampling_rate, "seconds": self.seconds}

    def fetch(self) -> Path:
        """The folder with the files; the hub's cache keeps them for the next time."""
        if Path(self.repository).is_dir():
            return Path(self.repository)
        try:
            return Path(snapshot_download(self.repository, revision=self.revision, allow_patterns=FILES))
        except RepositoryNotFoundError:
            raise ExperimentError(f"repository: the hub has no {self.repository!r}, or it is not public") from None
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise ExperimentError(f"{self.repository} cannot be fetched: {str(error).splitlines()[0]}") from None
