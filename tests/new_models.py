"""From weights to a worker as `bundle new` and `bundle build` take them, in this process."""

from pathlib import Path
from typing import Any

import yaml

from archiver import archive
from archiver.new.command import sample_of
from archiver.new.kinds import Options, read
from archiver.new.writing import Places, labels_name, write
from archiver.package import resolve
from tests.handlers.worker import Worker

PROJECT = Path(__file__).parent.parent


def new(weights: Path, root: Path, about: Options = Options(), **changes: Any) -> Path:  # noqa: B008 - frozen
    """The spec of a model that is called as `root`'s last part. changes: of its keys, as people make them."""
    workspace = root / "workspace"
    workspace.mkdir(parents=True)
    found = read(weights, about, workspace)
    name = root.name
    places = Places(root / name, root / f"{name}.yaml", root / f"{name}{labels_name(found.labels)}")
    write(name, weights, found, sample_of(found, None, workspace), places)
    spec = yaml.safe_load(places.spec.read_text(encoding="utf-8"))
    places.spec.write_text(yaml.safe_dump({**spec, **changes}), encoding="utf-8")
    return places.spec


def served(weights: Path, root: Path, about: Options = Options(), **changes: Any) -> Worker:  # noqa: B008
    """Its worker. backend: torch by default, since writing a graph takes a process of its own."""
    spec = new(weights, root, about, **{"backend": "torch", **changes})
    archive.build(resolve(spec, root), PROJECT / "handlers", root / "store")
    return Worker(root / "store" / f"{root.name}.mar", root / "unpacked")
