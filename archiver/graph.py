"""The ONNX graph of a model, written by its own handler: the fast form of the weights on a CPU."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from archiver import mar
from archiver.errors import Problem, SpecError
from archiver.external_tensors import without_shared
from archiver.package import Package
from archiver.tasks import task_of
from archiver.verification.worker_process import WorkerError, run_worker

MEMBER = "artifact/graph.onnx"


@dataclass(frozen=True)
class Graph:
    """data: the ONNX file, without the tensors that the weights' own files hold; None where the archive has none.

    reason: why it could not be had, "" where nobody asked. own: the weights are an ONNX file themselves.
    """

    data: bytes | None = None
    reason: str = ""
    own: bool = False

    @property
    def backend(self) -> str:
        """The backend on a CPU."""
        return "onnxruntime" if self.own or self.data is not None else "torch"


def write(package: Package, content: Mapping[str, bytes | Path]) -> Graph:
    """The graph of the archive that `content` will be, if it can have one that answers the same.

    The handler is loaded as a worker would, told to write its graph, and compares the graph's answers with the model's.
    SpecError when the spec asks for a graph that cannot be had.
    """
    if package.artifact.description.format == "onnx":
        if package.spec.backend == "torch":
            raise SpecError(package.spec.name, [Problem("backend", "torch, but the weights are an ONNX file")])
        return Graph(own=True)
    if package.spec.backend == "torch" or (package.spec.backend == "auto" and not has_graph(package)):
        return Graph()
    with tempfile.TemporaryDirectory(prefix="archiver-") as temporary:
        folder = Path(temporary, "model")
        path = Path(temporary, "graph.onnx")
        mar.stage(folder, content)
        configuration = yaml.safe_load((folder / mar.CONFIGURATION).read_text(encoding="utf-8"))
        configuration["handler"]["export"] = str(path)
        (folder / mar.CONFIGURATION).write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
        (folder / mar.CARD).write_text(f'{{"version": "{package.spec.version}"}}', encoding="utf-8")
        job = {
            "name": package.spec.name,
            "folder": str(folder),
            "handler": "entry.py",
            "batch_size": configuration["batchSize"],
            "device": "cpu",
            "task": package.task,
            "batches": {},
        }
        try:
            report = run_worker(job, Path(temporary), package.spec.timeouts.startup_s)
            reason = report["error"].strip().splitlines()[-1] if "error" in report else "its handler writes none"
        except WorkerError as error:
            reason = str(error)
        if path.is_file():
            return Graph(without_shared(path, package.artifact.files))
    if package.spec.backend == "onnxruntime":
        raise SpecError(package.spec.name, [Problem("backend", f"the model has no ONNX graph: {reason}")])
    return Graph(reason=reason)


def has_graph(package: Package) -> bool:
    return package.spec.handler is None and task_of(package.task).graph
