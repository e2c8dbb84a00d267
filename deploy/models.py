"""The models that a command names: the archives they need, and which of these still have to be built."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.archive import Archive, archives_in, newest, readable
from deploy.configuration import PROJECT
from deploy.errors import DeployError
from handlers.formats import zip_file

DEMO = ("imagenet", "shapes-detection", "shapes-segmentation", "spoken-digits", "language-id", "cartpole")
# Approximate seconds of training on two cores, for the printed plan.
TRAINING = {
    "imagenet": 5,
    "shapes-detection": 300,
    "shapes-segmentation": 220,
    "spoken-digits": 220,
    "language-id": 120,
    "cartpole": 60,
}


@dataclass(frozen=True)
class Model:
    """One model of a zoo.

    zoo: "demo" models are trained, or converted from packages; "hub" models are pretrained weights that are fetched;
    "fetched" models are complete archives from elsewhere.
    """

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
        """The folder that its training writes and the archiver reads."""
        return PROJECT / "artifacts" / ("" if self.zoo == "demo" else self.zoo)

    @property
    def store(self) -> Path:
        return PROJECT / "model_store" / ("" if self.zoo == "demo" else self.zoo)

    @property
    def archive(self) -> Path:
        return self.store / f"{self.name}.mar"

    @property
    def description(self) -> Path:
        """The folder of the archive's artifact: one trained here takes precedence over the checkout's."""
        trained = self.artifacts / self.name / "artifact.json"
        shipped = self.artifacts / "demo" / self.name / "artifact.json"
        return shipped if shipped.is_file() and not trained.is_file() else trained

    def is_current(self) -> bool:
        """Whether the archive exists and was built from the present spec, artifact and handlers.

        Their digests on the archive's card decide, because a copied or freshly cloned checkout has other file times.
        """
        if not self.archive.is_file():
            return False
        if not self.is_trained() or not self.spec.is_file():
            return True  # its sources are not here, so it is served as it is
        try:
            card = Archive.read(self.archive).card
            handlers = handlers_digest(self.archive)
        except (DeployError, FileNotFoundError):
            return False
        inputs = {"spec": digest(self.spec), "artifact": digest(self.description)}
        recorded = card.get("sha256") or {}
        return card.get("inputs") == inputs and recorded.get("handlers") == handlers

    @property
    def task(self) -> str:
        """The task of its artifact, or of its archive if there is no artifact."""
        if self.is_trained():
            return str(json.loads(self.description.read_text(encoding="utf-8"))["task"])
        return Archive.read(self.archive).task

    def is_trained(self) -> bool:
        """Whether its artifact is here. An archive that was fetched is not of one that has its name by chance."""
        return self.zoo != "fetched" and self.description.is_file()

    def train(self) -> None:
        """Train it and write its artifact; the training shows its progress. Raises DeployError."""
        command = ["train", str(self.experiment), "--output", str(self.artifacts)]
        done = subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=False)
        if done.returncode:
            raise DeployError(f"`python -m {' '.join(command[:2])}` failed; its message stands above")


def digest(path: Path) -> str:
    state = path.stat()
    return content_digest(path, state.st_size, state.st_mtime_ns, state.st_ino)


@cache
def content_digest(path: Path, *state: int) -> str:
    """Computed once for each state of a file, because every model has the same handlers."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def handlers_digest(archive: Path) -> str:
    """The digest of the checkout's copies of the modules in the archive, formed as on a card: the SHA-256 of
    `sha256sum`'s output for them, sorted by path. Raises FileNotFoundError if a module has been removed."""
    with zip_file.opened(archive) as file:
        names = sorted(name for name in file.namelist() if name.startswith("handlers/"))
    files = {"entry.py": "handlers/entry.py", **dict(zip(names, names, strict=True))}
    lines = [f"{digest(PROJECT / path)}  {name}\n" for name, path in files.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def choose(names: list[str], zoo: str) -> list[Model]:
    """The models of a zoo, or the named ones. A name is that of an archive's file, or that of a model in the store,
    which stands for its highest version. Raises DeployError for an unknown name.
    """
    known = list(DEMO) if zoo == "demo" else sorted(p.stem for p in (PROJECT / "train/experiments/hub").glob("*.yaml"))
    store = Model("", zoo).store
    own = [path.stem for path in archives_in(store)] if zoo == "demo" else []
    unknown = [name for name in names if name not in known + own]
    highest = newest(readable(store)) if unknown and zoo == "demo" else {}
    if missing := [name for name in unknown if name not in highest]:
        raise DeployError(f"no model {', '.join(missing)}; there are {', '.join(dict.fromkeys(known + own))}")
    files = [highest[name].path.stem if name in unknown else name for name in names or known]
    return [Model(name, zoo) for name in dict.fromkeys(files)]


def other_versions(names: list[str], models: list[Model]) -> tuple[list[Model], list[str]]:
    """The other versions in the store of what `choose` returned for `names`, and a line for each archive that holds
    one of them a second time. Where a name is that of a file alone, no version is added to it.
    """
    files = {model.name for model in models}
    wanted = {*names} or files
    holders: dict[tuple[str, str], Path] = {}
    found, left_out = [], []
    for archive in sorted(readable(models[0].store), key=lambda archive: archive.path.stem not in files):
        path, version = archive.path, (archive.name, archive.version)
        if path.stem not in files and archive.name in wanted:
            if version in holders:
                left_out.append(f"{path.name} is left out: {holders[version].name} holds {' '.join(version)} as well")
                continue
            found.append(Model(path.stem, models[0].zoo))
        holders[version] = path
    return found, left_out
