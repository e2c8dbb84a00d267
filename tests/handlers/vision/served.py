"""An artifact's archive in a worker of this process, and images to send it."""

from pathlib import Path
from typing import Any

import orjson
import yaml

from archiver import archive
from archiver.package import resolve
from tests.closeness import assert_close
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded

PROJECT = Path(__file__).parents[3]
ROWS: list[dict[str, Any]] = [{"body": encoded(each), "content-type": b"image/png"} for each in IMAGES]
BROKEN = {"body": ROWS[0]["body"][:400], "content-type": b"image/png"}


def packed(artifact: Path, **spec: Any) -> Path:
    """The archive of an artifact, beside it; without a graph, whose export takes seconds, unless the spec names one."""
    root = artifact.parent
    file = root / f"{artifact.name}.yaml"
    file.write_text(yaml.safe_dump({"artifact": artifact.name, "batch": {"size": 3}, "backend": "torch", **spec}))
    return archive.build(resolve(file, root), PROJECT / "handlers", root / "store").path


def served(artifact: Path, suffix: str = "", **spec: Any) -> Worker:
    """suffix: of the name that the archive is registered by, behind its own."""
    return Worker(packed(artifact, **spec), artifact.with_name(f"{artifact.name}-unpacked{suffix}"), suffix)


def check_isolation(worker: Worker, rows: list[dict[str, Any]] = ROWS) -> None:
    """A batch equals its items alone, and a broken one fails alone."""
    alone = [worker.json(row)[0] for row in rows]
    answers = worker.answer([rows[0], {**rows[0], **BROKEN}, *rows[1:]])
    status, _, error = answers.pop(1)
    assert (status, orjson.loads(error)["type"]) == (400, "MalformedInput")
    for (code, _, body), single in zip(answers, alone, strict=True):
        assert code == 200
        assert_close(orjson.loads(body), single)
