"""The models a command names: which archives they need, and which of those are still to be made."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.configuration import PROJECT
from deploy.errors import DeployError

DEMO = ("imagenet", "shapes-detection", "shapes-segmentation", "spoken-digits", "language-id", "cartpole")
# Rough seconds of training on two cores, for the plan that is printed.
TRAINING = {
    "imagenet": 10,
    "shapes-detection": 150,
    "shapes-segmentation": 80,
    "spoken-digits": 180,
    "language-id": 100,
    "cartpole": 60,
}
BUILDING = 10


@dataclass(frozen=True)
class Model:
    """One model of a zoo. zoo: "demo" trains or converts what comes in packages, "hub" fetches pretrained weights."""

    name: str
    zoo: str = "demo"

    @property
    def spec(self) -> Path:
        folder = PROJECT / "archiver" / "specs"
        return (folder / "hub" if self.zoo == "hub" else folder) / f"{self.name}.yaml"

    @property
    def experiment(self) -> Path:
        folder = PROJECT / "train" / "experiments"
        return (folder / "hub" if self.zoo == "hub" else folder) / f"{self.name}.yaml"

    @property
    def artifacts(self) -> Path:
        return PROJECT / "artifacts" / ("hub" if self.zoo == "hub" else "")

    @property
    def store(self) -> Path:
        return PROJECT / "model_store" / ("hub" if self.zoo == "hub" else "")

    @property
    def archive(self) -> Path:
        return self.store / f"{self.name}.mar"

    @property
    def description(self) -> Path:
        return self.artifacts / self.name / "artifact.json"

    def is_current(self) -> bool:
        """Whether the archive is there and no older than what goes into it."""
        if not self.archive.is_file():
            return False
        if not self.is_trained() or not self.spec.is_file():
            return True  # what it was made of is not here, so it serves as it is
        inputs = [self.spec, self.description, *(PROJECT / "handlers").rglob("*.py")]
        return self.archive.stat().st_mtime >= max(path.stat().st_mtime for path in inputs)

    def is_trained(self) -> bool:
        return self.description.is_file()

    def make(self) -> None:
        """Train if need be, then build the archive; each command's own progress shows. Raises DeployError."""
        if not self.is_trained():
            run("train", str(self.experiment), "--output", str(self.artifacts))
        run("archiver", "build", str(self.spec), "--artifacts", str(self.artifacts), "--store", str(self.store))


def make_missing(models: list[Model], store: Path, artifacts: Path) -> None:
    """Train and build those of `models` that have no archive in `store`. Raises DeployError."""
    for model in models:
        if (store / model.archive.name).is_file():
            continue
        # Beside the artifacts: the checkout may be read-only.
        run("train", str(model.experiment), "--output", str(artifacts), "--runs", str(artifacts.with_name("runs")))
        run("archiver", "build", str(model.spec), "--artifacts", str(artifacts), "--store", str(store))


def run(module: str, *arguments: str) -> None:
    process = subprocess.run([sys.executable, "-m", module, *arguments], cwd=PROJECT, check=False)
    if process.returncode:
        raise DeployError(f"`python -m {module} {' '.join(arguments[:2])}` failed; its message stands above")


def choose(names: list[str], zoo: str) -> list[Model]:
    """The models of a zoo, or those of them that are named; DeployError for a name it does not have."""
    known = list(DEMO) if zoo == "demo" else sorted(p.stem for p in (PROJECT / "train/experiments/hub").glob("*.yaml"))
    own = sorted(path.stem for path in (PROJECT / "model_store").glob("*.mar")) if zoo == "demo" else []
    unknown = [name for name in names if name not in known + own]
    if unknown:
        raise DeployError(f"no model {', '.join(unknown)}; there are {', '.join(dict.fromkeys(known + own))}")
    return [Model(name, zoo) for name in names or known]
