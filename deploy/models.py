"""The models a command names: which archives they need, and which of those are still to be made."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.archive import Archive, archives_in
from deploy.configuration import PROJECT
from deploy.errors import DeployError

DEMO = ("imagenet", "shapes-detection", "shapes-segmentation", "spoken-digits", "language-id", "cartpole")
# Rough seconds of training on two cores, for the plan that is printed.
TRAINING = {
    "imagenet": 5,
    "shapes-detection": 300,
    "shapes-segmentation": 220,
    "spoken-digits": 220,
    "language-id": 120,
    "cartpole": 60,
}
LEFT_OUT = {"__pycache__", "tests"}  # folders that are not packed


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
        """Where its training writes, and the archiver reads."""
        return PROJECT / "artifacts" / ("hub" if self.zoo == "hub" else "")

    @property
    def store(self) -> Path:
        return PROJECT / "model_store" / ("hub" if self.zoo == "hub" else "")

    @property
    def archive(self) -> Path:
        return self.store / f"{self.name}.mar"

    @property
    def description(self) -> Path:
        """Of the artifact that the archive is made from: a training of one's own comes before the checkout's."""
        trained = self.artifacts / self.name / "artifact.json"
        shipped = self.artifacts / "demo" / self.name / "artifact.json"
        return shipped if shipped.is_file() and not trained.is_file() else trained

    def is_current(self) -> bool:
        """Whether the archive is there, made of the spec, the artifact and the handlers that are here.

        Their content decides, as the archive's card recorded it: a copied or freshly cloned checkout has other times.
        """
        if not self.archive.is_file():
            return False
        if not self.is_trained() or not self.spec.is_file():
            return True  # what it was made of is not here, so it serves as it is
        try:
            card = Archive.read(self.archive).card
        except DeployError:
            return False
        inputs = {"spec": digest(self.spec), "artifact": digest(self.description)}
        recorded = card.get("sha256") or {}
        return card.get("inputs") == inputs and recorded.get("handlers") == handlers_digest(PROJECT / "handlers")

    @property
    def task(self) -> str:
        """As its artifact says, or its archive, where only that is there."""
        if self.is_trained():
            return str(json.loads(self.description.read_text(encoding="utf-8"))["task"])
        return Archive.read(self.archive).task

    def is_trained(self) -> bool:
        return self.description.is_file()

    def train(self) -> None:
        """Write its artifact; the training's own progress shows. Raises DeployError."""
        command = ["train", str(self.experiment), "--output", str(self.artifacts)]
        done = subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=False)
        if done.returncode:
            raise DeployError(f"`python -m {' '.join(command[:2])}` failed; its message stands above")


def digest(path: Path) -> str:
    state = path.stat()
    return content_digest(path, state.st_size, state.st_mtime_ns, state.st_ino)


@cache
def content_digest(path: Path, *state: int) -> str:
    """Read once for each state of a file: every model has the same handlers."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def handlers_digest(folder: Path) -> str:
    """As the archiver groups them on a card: of the lines `sha256sum` prints for the files, sorted by path."""
    files = [path for path in folder.rglob("*.py") if not LEFT_OUT & set(path.relative_to(folder).parts)]
    digests = {f"handlers/{path.relative_to(folder).as_posix()}": digest(path) for path in files}
    digests["entry.py"] = digests.get("handlers/entry.py", "")
    return hashlib.sha256("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()).hexdigest()


def choose(names: list[str], zoo: str) -> list[Model]:
    """The models of a zoo, or those of them that are named; DeployError for a name it does not have."""
    known = list(DEMO) if zoo == "demo" else sorted(p.stem for p in (PROJECT / "train/experiments/hub").glob("*.yaml"))
    own = [path.stem for path in archives_in(PROJECT / "model_store")] if zoo == "demo" else []
    unknown = [name for name in names if name not in known + own]
    if unknown:
        raise DeployError(f"no model {', '.join(unknown)}; there are {', '.join(dict.fromkeys(known + own))}")
    return [Model(name, zoo) for name in names or known]
