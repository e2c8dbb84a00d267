"""Experiments: one YAML file of differences each, checked by the typed configuration of its system."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

EXPERIMENTS = Path(__file__).parent / "experiments"

# system → the configuration class that runs it; imported only when asked for, each drags in its own libraries.
SYSTEMS = {
    "pretrained": "train.pretrained:Pretrained",
    "huggingface": "train.huggingface:HuggingFace",
    "detection": "train.detection:Detection",
    "segmentation": "train.segmentation:Segmentation",
    "spoken-digits": "train.spoken_digits:SpokenDigits",
    "language-id": "train.language_id:LanguageId",
    "ppo": "train.ppo:PPO",
}


class ExperimentError(Exception):
    """An experiment that does not exist or whose configuration is wrong; the message says what and where."""


class Experiment(BaseModel):
    """What every system's configuration has; a system adds its own fields, each with a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    system: str
    seed: int = 0

    def run(self, folder: Path) -> None:
        """Train (or convert) and write the artifact to `folder`, with a progress bar on long work."""
        raise TypeError(f"{type(self).__name__} does not define run(folder)")


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
    values: dict[str, Any] = {"name": path.stem, **(yaml.safe_load(path.read_text(encoding="utf-8")) or {})}
    for override in overrides or []:
        key, equals, text = override.partition("=")
        if not equals:
            raise ExperimentError(f"an override is key=value, got {override!r}")
        *parents, leaf = key.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[leaf] = yaml.safe_load(text)
    system = values.get("system")
    if system not in SYSTEMS:
        raise ExperimentError(f"{path.name}: system is {system!r}; wanted one of {', '.join(SYSTEMS)}")
    module, _, name = SYSTEMS[system].partition(":")
    configuration: type[Experiment] = getattr(import_module(module), name)
    return configuration.model_validate(values)
