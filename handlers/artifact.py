"""The artifact inside an archive: the weights, labels, preprocessing and sample that training described."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

# Added by the archiver if the model can be exported to ONNX.
GRAPH = "graph.onnx"


@dataclass(frozen=True)
class Artifact:
    """graph: path of the model's ONNX graph, if the archive has one."""

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
        """Read `folder`/artifact.json. Raises ValueError if it is not JSON or refers to a file outside the folder."""
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
