"""`system: huggingface`: a model of the Hugging Face hub, or of a local folder, as an artifact."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import soundfile
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from pydantic import Field
from transformers import AutoConfig, AutoFeatureExtractor, AutoTokenizer

from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import check_tokenizer, vocabulary
from handlers.networks.positions import max_tokens
from train.audio.speech_synthesis import Voice, sample_rate, speak
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.experiment import Experiment
from train.core.stored_weights import narrow_folder

Task = Literal[
    "text-classification",
    "text-embedding",
    "token-classification",
    "question-answering",
    "text-generation",
    "audio-classification",
    "audio-embedding",
]
LABELLED = ("text-classification", "token-classification", "audio-classification")
AUDIO = ("audio-classification", "audio-embedding")

# Weights as safetensors and what a tokenizer needs; no pickles, no code.
FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
CONFIGURATIONS = {"config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"}
# Where sentence-transformers says how it makes one vector of a text's; ours is one way alone.
POOLING = "1_Pooling/config.json"


class HuggingFace(Experiment):
    """repository: an id of the hub, as owner/name, or a folder. revision: a branch, tag or commit of the repository.

    max_length: tokens the served model reads, and writes, where it does. seconds: of a window over longer recordings,
        for models of audio.
    sample: a request for the warm-up and the archive's verification: a text, which models of audio hear spoken, or the
        keys of a JSON body, such as a question and its context.
    """

    task: Task = "text-classification"
    repository: str
    revision: str = "main"
    max_length: int = Field(default=512, ge=8)
    seconds: float = Field(default=10.0, gt=0)
    sample: str | dict[str, Any]

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        print(f"{self.name}: {self.repository} at {self.revision}")
        source = self.fetch()
        if list(source.glob("adapter_config.json")):
            raise ExperimentError(
                f"{self.repository} is a LoRA adapter; merge it into its base model first: "
                "model.merge_and_unload().save_pretrained(…)"
            )
        if not list(source.glob("*.safetensors")):
            raise ExperimentError(f"{self.repository} has no safetensors weights; pickled ones are not loaded")
        configuration = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        names = configuration.id2label if self.task in LABELLED else {}
        longest = max_tokens(configuration.to_dict())
        if self.task not in AUDIO and longest is not None and self.max_length > longest:
            raise ExperimentError(
                f"max_length: got {self.max_length}; {self.repository} reads at most {longest} tokens"
            )
        self.check_pooling(source)
        if self.task not in AUDIO:
            self.check_tokenizer(source, configuration.to_dict())
        with TemporaryDirectory() as temporary:
            weights = Path(temporary, "weights")
            weights.mkdir()
            for pattern in FILES:
                for file in source.glob(pattern):
                    shutil.copy(file, weights)
            leave_out_code(weights)
            if self.stored_weights:
                narrow_folder(weights)
            sample = self.write_sample(Path(temporary))
            Artifact(
                name=self.name,
                experiment=self,
                task=self.task,
                format="huggingface",
                labels=[names[index] for index in range(len(names))],
                preprocessing=self.of_audio(source) if self.task in AUDIO else {"max_length": self.max_length},
                training={
                    "source": self.repository,
                    "revision": source.name if source.parent.name == "snapshots" else self.revision,
                    "seconds": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample)

    def write_sample(self, folder: Path) -> Path:
        """A file that a request may hold: a text, a JSON body, or the text spoken."""
        if self.task in AUDIO:
            if not isinstance(self.sample, str):
                raise ExperimentError("sample: wanted a text that is spoken to the model")
            path = folder / "sample.wav"
            soundfile.write(path, speak(self.sample, Voice("en-us")), sample_rate(), subtype="PCM_16")
            return path
        path = folder / ("sample.txt" if isinstance(self.sample, str) else "sample.json")
        body = self.sample if isinstance(self.sample, str) else json.dumps(self.sample, ensure_ascii=False)
        path.write_text(body, encoding="utf-8")
        return path

    def check_pooling(self, source: Path) -> None:
        """An embedding is the mean over its tokens; a model that was trained with another pooling is refused."""
        file = source / POOLING
        if self.task == "text-embedding" and file.is_file():
            pooling = json.loads(file.read_text(encoding="utf-8"))
            # Older versions have a flag for each mode, newer ones the mode's name.
            mode = pooling.get("pooling_mode", "mean" if pooling.get("pooling_mode_mean_tokens") else "another")
            if mode != "mean":
                raise ExperimentError(f"{self.repository} pools by {mode}; wanted mean: {POOLING}")

    def check_tokenizer(self, source: Path, configuration: dict[str, Any]) -> None:
        """There is one, and the model knows its tokens; without one transformers makes up an empty one."""
        try:
            check_tokenizer(source, {path.name for path in source.iterdir()})
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        except UnsafeFile as error:
            raise ExperimentError(f"{self.repository} {error}") from None
        except (OSError, ValueError) as error:
            raise ExperimentError(
                f"{self.repository}: its tokenizer cannot be read: {str(error).splitlines()[0]}"
            ) from None
        known = vocabulary(configuration)
        if known is not None and len(tokenizer) > known:
            raise ExperimentError(
                f"{self.repository}: its tokenizer has {len(tokenizer)} tokens, its model knows {known}; "
                "call model.resize_token_embeddings(len(tokenizer)), train and save both"
            )

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
            return Path(snapshot_download(self.repository, revision=self.revision, allow_patterns=[*FILES, POOLING]))
        except RepositoryNotFoundError:
            raise ExperimentError(f"repository: the hub has no {self.repository!r}, or it is not public") from None
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise ExperimentError(f"{self.repository} cannot be fetched: {str(error).splitlines()[0]}") from None


def leave_out_code(folder: Path) -> None:
    """Take out the names of classes that only a hub has: transformers' own, which has been found, is loaded instead."""
    for file in folder.glob("*.json"):
        values = json.loads(file.read_text(encoding="utf-8")) if file.name in CONFIGURATIONS else None
        if isinstance(values, dict) and values.pop("auto_map", None):
            file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
