"""The artifact inside an archive: the weights, labels, preprocessing and sample that training described."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from handlers.formats.preprocessing.fields import Fault, keys, list_of, mapping, name, optional, shown, text
from handlers.formats.preprocessing.form import faults_of
from handlers.formats.preprocessing.images import MAX_LABELS

DESCRIPTION = "artifact.json"
# Added by the archiver if the model can be exported to ONNX.
GRAPH = "graph.onnx"
FORM = keys(
    {
        **dict.fromkeys(("name", "task", "format", "weights", "sample"), name),
        "architecture": optional(mapping),
        "labels": list_of(text, 0, MAX_LABELS),
        "preprocessing": mapping,
    },
    closed=False,
)


class LoadError(Exception):
    """An artifact cannot become a model; the message says in one line what is wrong with it."""


@dataclass(frozen=True)
class Artifact:
    """path: the file or folder of the weights. graph: path of the model's ONNX graph, if the archive has one."""

    name: str
    task: str
    format: str
    path: Path
    architecture: dict[str, Any] | None
    labels: list[str]
    preprocessing: dict[str, Any]
    sample: Path
    graph: Path

    @classmethod
    def read(cls, folder: Path) -> Artifact:
        """Read `folder`/artifact.json. Raises LoadError if it is not one, or refers to a file outside the folder."""
        try:
            fields = orjson.loads((folder / DESCRIPTION).read_bytes())
        except orjson.JSONDecodeError as error:
            raise LoadError(f"{DESCRIPTION} is not JSON: {error}") from None
        refuse(FORM("", fields))
        for key in ("weights", "sample"):
            if Path(fields[key]).name != fields[key]:
                refuse([(key, f"wanted the name of a file in {folder}; got {shown(fields[key])}")])
        return cls(
            name=fields["name"],
            task=fields["task"],
            format=fields["format"],
            path=folder / fields["weights"],
            architecture=fields["architecture"],
            labels=fields["labels"],
            preprocessing=fields["preprocessing"],
            sample=folder / fields["sample"],
            graph=folder / GRAPH,
        )

    @cached_property
    def weights(self) -> Path:
        """The path, once its content was checked: nothing is read from it before. Raises UnsafeFile."""
        from handlers.formats.weights import check  # here, because a worker that runs the graph reads no weights

        check(self.format, self.path, self.task)
        return self.path

    def check_preprocessing(self) -> None:
        """LoadError where the preprocessing is not what the project's own handler of this task reads."""
        refuse(faults_of(self.task, self.format, self.preprocessing, self.labels))


def refuse(faults: Iterable[Fault]) -> None:
    """LoadError for the first fault, if there is one."""
    for where, what in faults:
        raise LoadError(f"{DESCRIPTION}: {where.lstrip('.') or 'the file'}: {what}")
