"""The artifact folder, which training passes to the archiver."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file
from torch import Tensor

from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import check_vocabulary
from handlers.formats.weights import check
from train.core.config import ExperimentError, StoredType
from train.core.experiment import Experiment
from train.core.stored_weights import narrowed

Task = Literal[
    "image-classification",
    "image-embedding",
    "zero-shot-image-classification",
    "object-detection",
    "instance-segmentation",
    "semantic-segmentation",
    "keypoint-detection",
    "depth-estimation",
    "audio-classification",
    "audio-embedding",
    "voice-activity",
    "speech-recognition",
    "text-classification",
    "text-embedding",
    "token-classification",
    "question-answering",
    "text-generation",
    "policy",
]
Format = Literal["safetensors", "torchscript", "torch-export", "onnx", "huggingface"]
# Alternative suffixes of samples → the suffix in an artifact.
SUFFIXES = {".jpeg": ".jpg", ".jpe": ".jpg", ".text": ".txt"}


@dataclass
class Artifact:
    """A folder with weights, a sample input and `artifact.json`; written whole or not at all.

    task: one of the tasks in docs/own-model.md, or any name for a custom handler.
    labels: the classes, by their index.
    architecture: {"factory": dotted callable, "arguments": {...}}, for the safetensors format only. The factory is
        called with the arguments and must build the module without fetching weights.
    preprocessing: what the task's handler needs to turn a request into the model's input.
    metrics: measured on held-out data. training: data, settings, epochs and other facts about the training.
    reference: statistics of the predictions on validation data, for comparison with those in production.
    experiment: the experiment that made the artifact, if any; its configuration and digest are recorded.
    stored_weights: the type in which a state dict is stored; if there is an experiment, its type is used instead.
    """

    name: str
    task: Task | str
    format: Format
    labels: list[str] = field(default_factory=list)
    architecture: dict[str, Any] | None = None
    preprocessing: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    experiment: Experiment | None = None
    stored_weights: StoredType = None

    def write(
        self, folder: Path, weights: dict[str, Tensor] | Path, sample: Path, extras: list[Path] | None = None
    ) -> Path:
        """Write the artifact to `folder`, replacing it. Raises ExperimentError if the weights cannot be served.

        weights: a state dict (safetensors), also of a compiled network or one in DataParallel, or the path of an
            exported file or Hugging Face folder.
        sample: one real input, the request body with which the archive is verified and warmed up.
        extras: other files for people to look at (plots, tables); they are not archived.
        """
        if isinstance(weights, Path):
            self.check(weights)
        staging = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        if isinstance(weights, dict):
            weights_name = "weights.safetensors"
            stored = narrowed(
                state_dict(weights), self.experiment.stored_weights if self.experiment else self.stored_weights
            )
            save_file(separate(stored), staging / weights_name)
        elif weights.is_dir():
            weights_name = "weights"
            shutil.copytree(weights, staging / weights_name)
        else:
            weights_name = f"weights{weights.suffix}"
            shutil.copyfile(weights, staging / weights_name)
        sample_name = f"sample{SUFFIXES.get(sample.suffix.lower(), sample.suffix.lower())}"
        shutil.copyfile(sample, staging / sample_name)
        for extra in extras or []:
            (staging / "extras").mkdir(exist_ok=True)
            shutil.copyfile(extra, staging / "extras" / extra.name)
        description = {
            "schema": 1,
            "name": self.name,
            "task": self.task,
            "format": self.format,
            "weights": weights_name,
            "architecture": self.architecture,
            "labels": self.labels,
            "preprocessing": self.preprocessing,
            "sample": sample_name,
            "metrics": self.metrics,
            "training": self.training,
            "reference": self.reference,
            "provenance": self.provenance(),
            "versions": {"python": platform.python_version(), **{p: version(p) for p in ("torch", "torchvision")}},
        }
        text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
        (staging / "artifact.json").write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
        return folder

    def check(self, weights: Path) -> None:
        """Raise ExperimentError if the archiver and the worker would refuse the file or folder."""
        try:
            check(self.format, weights, self.task)
            if self.format == "huggingface":
                check_vocabulary(weights)
        except UnsafeFile as error:
            raise ExperimentError(f"{weights.name} {error}") from None

    def provenance(self) -> dict[str, Any]:
        """When the artifact was written, and by which experiment."""
        written = {"written": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        if self.experiment is None:
            return written
        configuration = self.experiment.model_dump(mode="json")
        return {"experiment": configuration, "sha256": self.experiment.digest, **written}


def state_dict(weights: dict[str, Any]) -> dict[str, Tensor]:
    """The weights, if they are a state dict. Raises ExperimentError for a complete checkpoint or an adapter."""
    others = [name for name, value in weights.items() if not isinstance(value, Tensor)]
    if others:
        inside = [name for name in others if isinstance(weights[name], dict)]
        inner = next((name for name in inside if "state" in name or name in ("model", "module", "net")), None)
        hint = f"; pass checkpoint[{inner!r}]" if inner else ""
        raise ExperimentError(f"weights: wanted a state dict of tensors; {others[0]!r} is not a tensor{hint}")
    if any(".lora_A." in name or ".lora_B." in name for name in weights):
        raise ExperimentError("weights: those of a LoRA adapter; merge it first: model.merge_and_unload().state_dict()")
    return weights


def separate(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, each with its own memory, as safetensors requires: tied weights are stored twice."""
    seen: set[int] = set()
    separated = {}
    for name, value in weights.items():
        tensor = value.detach().cpu().contiguous()
        pointer = tensor.untyped_storage().data_ptr()
        shares = pointer in seen or tensor.untyped_storage().nbytes() > tensor.nbytes
        separated[name] = tensor.clone() if shares else tensor
        seen.add(pointer)
    return separated
