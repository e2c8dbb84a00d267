"""Experiments: YAML files with the differences from the defaults, validated by the configuration class of a system."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from bounded_yaml import reader
from bounded_yaml.reader import UnreadableYaml
from train.core.config import ExperimentError, StoredType, StrictModel
from train.core.run import Run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"

MAX_NAME = 100  # characters of an experiment's name
# system → its configuration class, imported only when needed, because each imports large libraries.
SYSTEMS = {
    "pretrained": "train.export.torchvision:Pretrained",
    "huggingface": "train.export.huggingface:HuggingFace",
    "ensemble": "train.vision.classification.ensemble:Ensemble",
    "image-classification": "train.vision.classification.experiment:ImageClassification",
    "object-detection": "train.vision.detection.experiment:ObjectDetection",
    "instance-segmentation": "train.vision.detection.instance:InstanceSegmentation",
    "semantic-segmentation": "train.vision.segmentation.experiment:SemanticSegmentation",
    "audio-classification": "train.audio.classification.experiment:AudioClassification",
    "silero-vad": "train.export.silero_vad:SileroVAD",
    "text-classification": "train.text.experiment:TextClassification",
    "ppo": "train.rl.ppo:PPO",
    "dqn": "train.rl.dqn:DQN",
}


class Experiment(StrictModel):
    """The fields that all systems share; a system adds its own and overrides `run`, or the stages of `Staged`."""

    name: str = Field(description="also the name of the artifact and its folder; by default the file's")
    system: str
    version: Literal[1] = Field(default=1, description="of the configuration format; other versions are refused")
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    stored_weights: StoredType = Field(
        default=None,
        description="float16 halves the artifact and its archive; the metrics are those of the rounded weights",
    )

    @field_validator("name")
    @classmethod
    def names_a_folder(cls, name: str) -> str:
        """Refuses a name that would lead out of the folders of runs and artifacts."""
        if name in ("", ".", "..") or "/" in name or not name.isprintable() or len(name) > MAX_NAME:
            raise ValueError(f"wanted up to {MAX_NAME} printable characters without a slash")
        return name

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration with all defaults written out, in hexadecimal.

        An artifact records it, so that a later change to the experiment can be detected.
        """
        resolved = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(resolved, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def run(self, folder: Path) -> None:
        """Train or convert, and write the artifact to `folder`. Long work shows a progress bar."""
        raise TypeError(f"{type(self).__name__} does not define run(folder)")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        """Measure the artifact in `folder` again, with the metrics and the held-out data of its training."""
        raise ExperimentError(f"system {self.system} cannot evaluate an artifact")


class Staged(Experiment):
    """An experiment in stages that share a run's folder, so that each stage can be run and repeated separately."""

    def fit(self, run: Run) -> None:
        """Train, from the last checkpoint if there is one, and call `run.record("fit", …)` at the end."""
        raise TypeError(f"{type(self).__name__} does not define fit(run)")

    def test(self, run: Run) -> None:
        """Measure the best checkpoint on held-out data, write plots, and call `run.record("test", …)`."""
        raise TypeError(f"{type(self).__name__} does not define test(run)")

    def export(self, run: Run, folder: Path) -> None:
        """Write the best checkpoint as an artifact to `folder`."""
        raise TypeError(f"{type(self).__name__} does not define export(run, folder)")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        raise ExperimentError(
            f"system {self.system} cannot evaluate an artifact; measure its run instead: `python -m train test RUN`"
        )

    def augmentations(self, path: Path, count: int) -> None:
        """Write an image to `path`: `count` samples, each beside augmented versions, with boxes and masks drawn."""
        raise ExperimentError(f"system {self.system} does not augment images")


def names() -> list[str]:
    """The names of the experiments that come with the project, sorted."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def load(experiment: str, overrides: list[str] | None = None) -> Experiment:
    """Read an experiment by name, or a YAML file by path, and apply `key=value` overrides (dots reach into mappings).

    Raises ExperimentError for an unknown experiment or system, an unreadable file or a malformed override, and
    pydantic's ValidationError with all errors in the configuration.
    """
    path = Path(experiment) if experiment.endswith((".yaml", ".yml")) else EXPERIMENTS / f"{experiment}.yaml"
    if not path.is_file():
        raise ExperimentError(f"no experiment {experiment!r}; wanted a YAML file or one of {', '.join(names())}")
    try:
        found = reader.read(path) or {}
    except UnreadableYaml as error:
        raise ExperimentError(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise ExperimentError(f"{path}: wanted keys and values, such as `seed: 1`; got a {type(found).__name__}")
    values: dict[str, Any] = {"name": path.stem, **found}
    for override in overrides or []:
        apply(override, values)
    system = values.get("system")
    if system not in SYSTEMS:
        raise ExperimentError(f"{path.name}: system is {system!r}; wanted one of {', '.join(SYSTEMS)}")
    module, _, name = SYSTEMS[system].partition(":")
    configuration: type[Experiment] = getattr(import_module(module), name)
    return configuration.model_validate(values)


def apply(override: str, values: dict[str, Any]) -> None:
    """Set the key of `key=value` in `values`. The value is parsed as YAML: `3` is a number, `[a, b]` a list.

    Raises ExperimentError for an override without a key and a value, or for a key below something other than a mapping.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise ExperimentError(f"override {override!r}: wanted key=value")
    *parents, leaf = key.split(".")
    target = values
    for parent in parents:
        inner = target.get(parent, {})
        if not isinstance(inner, dict):
            raise ExperimentError(f"override {override!r}: {parent} has no keys, because it is {inner!r}")
        target[parent] = target = inner.copy()  # a YAML alias may share the mapping with another key
    try:
        target[leaf] = reader.parse(text)
    except UnreadableYaml:
        raise ExperimentError(f"override {override!r}: the value is not valid YAML; put it in quotes") from None
