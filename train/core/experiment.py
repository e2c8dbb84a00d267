"""Experiments: one YAML file of differences each, checked by the typed configuration of its system."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from bounded_yaml import reader
from bounded_yaml.reader import UnreadableYaml
from train.core.config import ExperimentError, StrictModel
from train.core.run import Run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"

# system → the configuration class that runs it, imported only if needed, because each imports large libraries.
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
    """The fields of every system's configuration; a system adds its own, each with a default.

    version: that of the configuration format; files for other versions are refused.
    stored_weights: float16 halves the artifact and its archive; by default weights stay as they are. The scores are
        those of the rounded weights.
    """

    name: str
    system: str
    version: Literal[1] = 1
    seed: int = 0
    stored_weights: Literal["float16"] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration with every default written out. An artifact records it, so that a change of the
        experiment since then can be detected."""
        resolved = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(resolved, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def run(self, folder: Path) -> None:
        """Train (or convert) and write the artifact to `folder`, with a progress bar on long work."""
        raise TypeError(f"{type(self).__name__} does not define run(folder)")

    def evaluate(self, folder: Path) -> dict[str, Any]:
        """Measure the artifact in `folder` on the held-out data that `run` measured it on: the same metrics."""
        raise ExperimentError(f"system {self.system} measures no artifact; of a run: `python -m train test RUN`")


class Staged(Experiment):
    """An experiment in stages that share a run's folder, so that each can be run and repeated separately."""

    def fit(self, run: Run) -> None:
        """Train, continuing from `run.last` if it exists; ends with `run.record("fit", …)`."""
        raise TypeError(f"{type(self).__name__} does not define fit(run)")

    def test(self, run: Run) -> None:
        """Measure the best checkpoint on held-out data; plots, and `run.record("test", metrics)`."""
        raise TypeError(f"{type(self).__name__} does not define test(run)")

    def export(self, run: Run, folder: Path) -> None:
        """Write the best checkpoint as an artifact to `folder`."""
        raise TypeError(f"{type(self).__name__} does not define export(run, folder)")

    def augmentations(self, path: Path, count: int) -> None:
        """Write an image: `count` samples of the data, each beside augmented ones, with boxes and masks drawn."""
        raise ExperimentError(f"system {self.system} augments no images")


def names() -> list[str]:
    """The experiments that come with the project."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def load(experiment: str, overrides: list[str] | None = None) -> Experiment:
    """Read an experiment by name, or a YAML file by path, and apply `key=value` overrides (dots reach into mappings).

    Raises ExperimentError for an unknown experiment or system, pydantic's ValidationError (all errors at once) for
    the configuration.
    """
    path = Path(experiment) if experiment.endswith((".yaml", ".yml")) else EXPERIMENTS / f"{experiment}.yaml"
    if not path.is_file():
        raise ExperimentError(f"no experiment {experiment!r}; there are {', '.join(names())}")
    try:
        read = reader.read(path) or {}
    except UnreadableYaml as error:
        raise ExperimentError(f"{path}: {error}") from None
    if not isinstance(read, dict):
        raise ExperimentError(f"{path}: wanted keys and values, as in `seed: 1`")
    values: dict[str, Any] = {"name": path.stem, **read}
    for override in overrides or []:
        apply(override, values)
    system = values.get("system")
    if system not in SYSTEMS:
        raise ExperimentError(f"{path.name}: system is {system!r}; wanted one of {', '.join(SYSTEMS)}")
    module, _, name = SYSTEMS[system].partition(":")
    configuration: type[Experiment] = getattr(import_module(module), name)
    return configuration.model_validate(values)


def apply(override: str, values: dict[str, Any]) -> None:
    """Write one `key=value` into `values`; the value is read as YAML, so `3` is a number and `[a, b]` a list."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ExperimentError(f"an override is key=value, got {override!r}")
    *parents, leaf = key.split(".")
    target = values
    for parent in parents:
        inner = target.get(parent, {})
        if not isinstance(inner, dict):
            raise ExperimentError(f"override {override!r}: {parent} holds no keys of its own")
        target[parent] = target = inner.copy()  # an alias may share the mapping with another key
    try:
        target[leaf] = reader.parse(text)
    except UnreadableYaml:
        raise ExperimentError(f"override {override!r}: the value is not YAML; quote it") from None
