"""Trained classifiers, packed and asked as a worker is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from archiver import archive
from archiver.package import resolve
from deploy.configuration import PROJECT
from tests.handlers.worker import Worker
from train.core.file_list import FileList


def packed(name: str, artifact: Path, folder: Path, **spec: Any) -> Path:
    file = folder / f"{name}.yaml"
    values = {"artifact": str(artifact), "batch": {"size": 4}, "threads": 1, **spec}
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return archive.build(resolve(file, folder), PROJECT / "handlers", folder / "store").path


Trained = Callable[[str], tuple[Path, Path]]


def worker(trained: Trained, kind: str, folder: Path, **spec: Any) -> Worker:
    return Worker(packed(kind, trained(kind)[1], folder, **spec), folder / "unpacked")


def held_out(run: Path, root: Path) -> list[tuple[Path, tuple[str, ...]]]:
    listed, _ = FileList.read(run / "data")
    return [(root / example.file, example.labels) for example in listed.of("test")]


def row(path: Path, **fields: bytes) -> dict[str, Any]:
    types = {".jpg": b"image/jpeg", ".png": b"image/png", ".webp": b"image/webp"}
    return {"body": path.read_bytes(), "content-type": types[path.suffix], **fields}
