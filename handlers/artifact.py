"""The artifact inside an archive: weights, labels, preprocessing and a sample, as training described them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

# The archiver adds it where the model can be written as one.
GRAPH = "graph.onnx"


@dataclass(frozen=True)
class Artifact:
    """graph: where the model's ONNX graph is, if the archive has one."""

    name: str
    task: str
    format: str
    weights: Path
    architecture: dict[str, Any] | None
    labels: list[str]
    preprocessing: dict[str, Any]
    sample: Path
    graph: Path

    @classmethod
    def read(cls, folder: Path) -> Artifact:
        """Read `folder`/artifact.json. ValueError where it is none, or names a file that is not beside it."""
        fields = orjson.loads((folder / "artifact.json").read_bytes())
        for key in ("weights", "sample"):
            if Path(fields[key]).name != fields[key]:
                raise ValueError(f"{key}: wanted the name of a file in {folder}; got {fields[key]!r}")
        return cls(
            name=fields["name"],
            task=fields["task"],
            format=fields["format"],
            weights=folder / fields["weights"],
            architecture=fields["architecture"],
            labels=fields["labels"],
            preprocessing=fields["preprocessing"],
            sample=folder / fields["sample"],
            graph=folder / GRAPH,
        )
