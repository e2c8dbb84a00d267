"""`system: ensemble`: several trained classifiers, served as one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field

from handlers.formats.architecture import build
from handlers.networks.ensemble import Average
from handlers.networks.ensemble import Ensemble as Network
from handlers.networks.weights import load_weights
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.experiment import Experiment, load
from train.core.run import Run
from train.core.stored_weights import round_weights
from train.vision.classification.evaluation import evaluate
from train.vision.classification.experiment import ImageClassification

FACTORY = "handlers.networks.ensemble.ensemble"


@dataclass(frozen=True)
class Member:
    """A classifier read from its artifact."""

    name: str
    architecture: dict[str, Any]
    weights: Path
    labels: list[str]
    tasks: dict[str, list[str]]
    transform: ImageTransform
    sample: Path

    @classmethod
    def read(cls, folder: Path) -> Member:
        """Read an artifact. Raises ExperimentError for another task or format."""
        described = json.loads((folder / "artifact.json").read_text(encoding="utf-8"))
        found = (described["task"], described["format"])
        if found != ("image-classification", "safetensors"):
            raise ExperimentError(
                f"members: {folder} is for {found[0]} in the format {found[1]}; wanted a classifier in safetensors"
            )
        if described["preprocessing"].get("multi_label"):
            raise ExperimentError(f"members: {folder} is multi-label; wanted a single-label classifier")
        preprocessing = {key: value for key, value in described["preprocessing"].items() if key != "embedding"}
        tasks = preprocessing.pop("tasks", {})
        if "members" in preprocessing:
            raise ExperimentError(
                f"members: {folder} is an ensemble with different transforms; list its members instead"
            )
        return cls(
            name=described["name"],
            architecture=described["architecture"],
            weights=folder / described["weights"],
            labels=described["labels"],
            tasks=tasks or {"class": described["labels"]},
            transform=ImageTransform.from_dict(preprocessing),
            sample=folder / described["sample"],
        )


class Ensemble(Experiment):
    """members: runs or artifact folders of image classifiers with the same classes; each member applies the\n
    transform that it was trained with.

    weights: positive weights of the members, equal by default. average: of the probabilities or of the logits.
    held_out: a run whose held-out images measure the ensemble and each member; no member should have been trained\n
    on them. By default the first member that is a run.
    """

    members: list[Path] = Field(min_length=2)
    weights: list[float] | None = None
    average: Average = "probabilities"
    held_out: Path | None = None

    def run(self, folder: Path) -> None:
        with TemporaryDirectory() as temporary:
            members = [self.member(path, Path(temporary, str(number))) for number, path in enumerate(self.members)]
            self.check(members)
            first = members[0]
            sizes = [len(classes) for classes in first.tasks.values()] if len(first.tasks) > 1 else None
            transforms = [member.transform for member in members]
            separate = len(set(transforms)) > 1
            transform = Views(tuple(transforms)) if separate else transforms[0]
            networks = [build(member.architecture) for member in members]
            for network, member in zip(networks, members, strict=True):
                load_weights(network, member.weights)
            try:
                network = Network(networks, self.weights, self.average, sizes, separate)
            except ValueError as error:
                raise ExperimentError(str(error)) from None
            print(f"{self.name}: {', '.join(member.name for member in members)}")
            round_weights(network, self.stored_weights)
            metrics, reference = self.measure(network, transform, members)
            architectures = [member.architecture for member in members]
            shares = network.weights.tolist()
            Artifact(
                name=self.name,
                experiment=self,
                task="image-classification",
                format="safetensors",
                labels=first.labels,
                architecture={
                    "factory": FACTORY,
                    "arguments": {
                        "members": architectures,
                        "average": self.average,
                        "tasks": sizes,
                        "separate": separate,
                    },
                },
                preprocessing=transform.to_dict() | ({"tasks": first.tasks} if sizes else {}),
                metrics=metrics,
                training={"members": [m.name for m in members], "weights": shares, "average": self.average},
                reference=reference,
            ).write(folder, network.state_dict(), first.sample)
        print(f"{self.name}: artifact {folder}")

    def member(self, path: Path, temporary: Path) -> Member:
        """The member at `path`; a run is exported first."""
        if (path / "artifact.json").is_file():
            return Member.read(path)
        experiment, run = classification(path, "members")
        experiment.model_copy(update={"format": "safetensors"}).export(run, temporary)
        return Member.read(temporary)

    def check(self, members: list[Member]) -> None:
        """Raise ExperimentError with all members that are incompatible with the first."""
        first = members[0]
        problems = []
        for path, member in zip(self.members, members, strict=True):
            if member.labels != first.labels:
                problems.append(
                    f"{path}: labels {member.labels[:5]}…; wanted {first.labels[:5]}… as in the first member"
                )
            elif list(member.tasks.items()) != list(first.tasks.items()):
                problems.append(f"{path}: tasks {member.tasks}; wanted {first.tasks} as in the first member")
            try:
                _ = member.transform.output_size
            except ValueError as error:
                problems.append(f"{path}: {error}")
        if problems:
            listed = "\n  ".join(problems)
            raise ExperimentError(f"members: all must have the same classes\n  {listed}")

    def measure(
        self, network: Network, transform: ImageTransform | Views, members: list[Member]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The ensemble's metrics, including each member's accuracy and F1, and its reference statistics."""
        runs = [path for path in self.members if not (path / "artifact.json").is_file()]
        path = self.held_out or next(iter(runs), None)
        if path is None:
            print(f"{self.name}: not measured; set held_out to a run with test images")
            return {}, {}
        experiment, run = classification(path, "held_out")
        _, data = experiment.restore(run)
        tasks = members[0].tasks
        if data.listed.tasks != tasks or data.listed.multi_label:
            raise ExperimentError(f"held_out: {path} has the classes {data.listed.tasks}; wanted the members' {tasks}")
        split = data.held_out
        found = evaluate(network, transform, tasks, data.evaluation(split, transform.geometry), f"{split}, ensemble")
        each = {}
        for number, (member, one) in enumerate(zip(members, network.members, strict=True), start=1):
            loader = data.evaluation(split, member.transform.geometry)
            scores = evaluate(one, member.transform, tasks, loader, f"{split}, {member.name}").metrics()
            each[f"{number}: {member.name}"] = {key: scores[key] for key in ("accuracy", "f1", "loss")}
        metrics = {"measured on": split, **found.metrics(), "members": each}
        print(f"{self.name}: accuracy {metrics['accuracy']}; its members' {[m['accuracy'] for m in each.values()]}")
        loader = data.evaluation("validation", transform.geometry)
        return metrics, evaluate(network, transform, tasks, loader, "validation").reference()


def classification(path: Path, key: str) -> tuple[ImageClassification, Run]:
    """An image-classification run and its experiment. Raises ExperimentError if `path` has none."""
    run = Run(path)
    if not run.configuration.is_file():
        raise ExperimentError(f"{key}: {path} is neither a run nor an artifact folder")
    experiment = load(str(run.configuration))
    if not isinstance(experiment, ImageClassification):
        raise ExperimentError(f"{key}: {path} is a run of system {experiment.system}; wanted image-classification")
    return experiment, run
