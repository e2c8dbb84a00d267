"""`system: huggingface`: a model from the Hugging Face Hub or a local folder, as an artifact."""

from __future__ import annotations

import base64
import hashlib
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
from handlers.formats.huggingface import (
    CONFIGURATIONS,
    FILES,
    IMAGES,
    POOLING,
    TEXTS,
    TOKENIZED,
    check_processor,
    check_tokenizer,
    check_tokens,
    pooling_mode,
    vocabulary,
    without_code,
)
from handlers.formats.processor_transform import depth_preprocessing, image_preprocessing
from handlers.networks.positions import max_tokens
from train.audio.speech_synthesis import Voice, sample_rate, speak
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.experiment import Experiment
from train.core.stored_weights import narrow_folder
from train.export.torchvision import SAMPLE

Task = Literal[
    "image-classification",
    "object-detection",
    "semantic-segmentation",
    "text-classification",
    "text-embedding",
    "token-classification",
    "question-answering",
    "text-generation",
    "audio-classification",
    "audio-embedding",
    "speech-recognition",
    "image-embedding",
    "zero-shot-image-classification",
    "depth-estimation",
]
LABELLED = (*IMAGES, "text-classification", "token-classification", "audio-classification")
AUDIO = ("audio-classification", "audio-embedding", "speech-recognition")
# Image tasks whose preprocessing is converted to the project's own transform.
TRANSFORMED = ("image-embedding", "zero-shot-image-classification", "depth-estimation")
# For the sample of a model without labels of its own.
ZERO_SHOT_LABELS = ["a cat", "a dog", "a car"]


class HuggingFace(Experiment):
    """repository: a Hub id (owner/name) or a folder. revision: a branch, tag or commit of the repository.

    max_length: maximum number of tokens that the served model reads, and writes if it generates text. seconds: window
        length for long recordings of audio models; by default 10, and for Whisper always its own.
    sample: a request for the warm-up and the archive's verification: a text, which is spoken for audio models, or the
        keys of a JSON body, such as a question and its context. Image models use a built-in image.
    sha256: hashes of the repository's files by name, which must match. If it names any file, it has to name all weight
        files.
    labels: default labels of a zero-shot classifier, for requests without labels.
    """

    task: Task = "text-classification"
    repository: str
    revision: str = "main"
    max_length: int = Field(default=512, ge=8)
    seconds: float = Field(default=10.0, gt=0)
    sample: str | dict[str, Any] = ""
    sha256: dict[str, str] = {}  # noqa: RUF012 - pydantic copies a default
    labels: list[str] = []  # noqa: RUF012 - pydantic copies a default

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        print(f"{self.name}: {self.repository} at {self.revision}")
        if not self.sample and self.task not in (*IMAGES, *TRANSFORMED):
            raise ExperimentError("sample: missing; wanted a request for the warm-up and the archive's verification")
        source = self.fetch()
        self.check_digests(source)
        if list(source.glob("adapter_config.json")):
            raise ExperimentError(
                f"{self.repository} is a LoRA adapter; merge it into its base model first: "
                "model.merge_and_unload().save_pretrained(…)"
            )
        if not list(source.glob("*.safetensors")):
            raise ExperimentError(f"{self.repository} has no safetensors weights; pickled weights are not loaded")
        configuration = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        names = configuration.id2label if self.task in LABELLED else {}
        longest = max_tokens(configuration.to_dict())
        if self.task in TEXTS and longest is not None and self.max_length > longest:
            raise ExperimentError(
                f"max_length: got {self.max_length}; {self.repository} reads at most {longest} tokens"
            )
        self.check_pooling(source)
        if self.labels and self.task != "zero-shot-image-classification":
            raise ExperimentError(f"labels: cannot be set for {self.task}, whose model has its own")
        if self.task in TOKENIZED:
            self.check_tokenizer(source, configuration.to_dict())
        elif self.task in IMAGES:
            self.check_processor(source)
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
                labels=self.labels or [names[index] for index in range(len(names))],
                preprocessing=self.preprocessing(source),
                training={
                    "source": self.repository,
                    "revision": source.name if source.parent.name == "snapshots" else self.revision,
                    "seconds": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample)

    def write_sample(self, folder: Path) -> Path:
        """Write a request body: a text, a JSON body, or the text as speech."""
        if self.task == "zero-shot-image-classification" and not self.labels:
            path = folder / "sample.json"
            image = base64.b64encode(SAMPLE.read_bytes()).decode()
            path.write_text(json.dumps({"image": image, "labels": ZERO_SHOT_LABELS}), encoding="utf-8")
            return path
        if self.task in (*IMAGES, *TRANSFORMED):
            return SAMPLE
        if self.task in AUDIO:
            if not isinstance(self.sample, str):
                raise ExperimentError("sample: wanted a text, which is spoken to the model")
            path = folder / "sample.wav"
            soundfile.write(path, speak(self.sample, Voice("en-us")), sample_rate(), subtype="PCM_16")
            return path
        path = folder / ("sample.txt" if isinstance(self.sample, str) else "sample.json")
        body = self.sample if isinstance(self.sample, str) else json.dumps(self.sample, ensure_ascii=False)
        path.write_text(body, encoding="utf-8")
        return path

    def preprocessing(self, source: Path) -> dict[str, Any]:
        """Preprocessing settings, in addition to the folder's own files."""
        if self.task in TRANSFORMED:
            translated = depth_preprocessing if self.task == "depth-estimation" else image_preprocessing
            try:
                return translated(source)
            except UnsafeFile as error:
                raise ExperimentError(f"{self.repository}: {error}") from None
        if self.task in AUDIO:
            return self.of_audio(source)
        return {"max_length": self.max_length} if self.task in TEXTS else {}

    def check_digests(self, source: Path) -> None:
        weights = {path.name for path in source.glob("*.safetensors")}
        if self.sha256 and (unnamed := sorted(weights - self.sha256.keys())):
            raise ExperimentError(f"sha256: {self.repository} has {', '.join(unnamed)}, whose hashes are missing")
        for name, wanted in self.sha256.items():
            path = source / name
            if not path.is_file():
                raise ExperimentError(f"sha256: {self.repository} has no {name}")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != wanted:
                raise ExperimentError(f"sha256: {name} of {self.repository} is {found}; wanted {wanted}")

    def check_processor(self, source: Path) -> None:
        try:
            check_processor(source, {path.name for path in source.iterdir()})
        except UnsafeFile as error:
            raise ExperimentError(f"{self.repository} {error}") from None

    def check_pooling(self, source: Path) -> None:
        """Raise ExperimentError if an embedding model was not trained with mean pooling over its tokens."""
        file = source / POOLING
        if self.task == "text-embedding" and file.is_file():
            mode = pooling_mode(json.loads(file.read_text(encoding="utf-8")))
            if mode != "mean":
                raise ExperimentError(f"{self.repository} pools by {mode}; wanted mean: {POOLING}")

    def check_tokenizer(self, source: Path, configuration: dict[str, Any]) -> None:
        """Raise ExperimentError without a matching tokenizer; transformers would silently create an empty one."""
        try:
            check_tokenizer(source, {path.name for path in source.iterdir()})
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
            check_tokens(tokenizer)
        except UnsafeFile as error:
            raise ExperimentError(f"{self.repository} {error}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = str(error).partition("\n")[0]
            raise ExperimentError(f"{self.repository}: its tokenizer cannot be read: {said}") from None
        known = vocabulary(configuration)
        if self.task == "speech-recognition" and configuration["model_type"] != "whisper":
            known = None  # CTC tokenizers often have tokens that the model never emits
        if known is not None and len(tokenizer) > known:
            raise ExperimentError(
                f"{self.repository}: its tokenizer has {len(tokenizer)} tokens, its model {known}; "
                "call model.resize_token_embeddings(len(tokenizer)), train and save both"
            )

    def of_audio(self, source: Path) -> dict[str, Any]:
        try:
            extractor = AutoFeatureExtractor.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise ExperimentError(f"{self.repository} has no feature extractor for {self.task}: {said}") from None
        seconds = self.seconds
        if self.task == "speech-recognition" and "seconds" not in self.model_fields_set:
            seconds = float(getattr(extractor, "chunk_length", seconds))
        return {"sample_rate": extractor.sampling_rate, "seconds": seconds}

    def fetch(self) -> Path:
        """The folder with the files, which stay in the Hub's cache."""
        if Path(self.repository).is_dir():
            return Path(self.repository)
        try:
            return Path(snapshot_download(self.repository, revision=self.revision, allow_patterns=[*FILES, POOLING]))
        except RepositoryNotFoundError:
            raise ExperimentError(
                f"repository: the Hub has no repository {self.repository!r}, or it is not public"
            ) from None
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise ExperimentError(f"{self.repository} cannot be downloaded: {str(error).splitlines()[0]}") from None


def leave_out_code(folder: Path) -> None:
    for file in folder.glob("*.json"):
        if file.name in CONFIGURATIONS:
            values = json.loads(file.read_text(encoding="utf-8"))
            if without_code(values) != values:
                file.write_text(json.dumps(without_code(values), indent=2) + "\n", encoding="utf-8")
