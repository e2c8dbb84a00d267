"""The ONNX graph of a model, exported by its own handler, for fast inference on CPUs."""

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
    """data: the ONNX file without the tensors in the weights' files; None without a graph.

    reason: why the archive has no graph; "" if none was requested. own: the weights themselves are an ONNX file.
    """

    data: bytes | None = None
    reason: str = ""
    own: bool = False

    @property
    def backend(self) -> str:
        """The backend on CPUs."""
        return "onnxruntime" if self.own or self.data is not None else "torch"


def write(package: Package, content: Mapping[str, bytes | Path]) -> Graph:
    """Export the graph of an archive with these files, if the graph gives the same answers.

    The handler is loaded as in a worker, exports its graph, and compares the graph's answers with the model's. Raises
    SpecError if the spec requires a graph and the model cannot be exported.
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
            said = report.get("error", "its handler does not export one")
            reason = said.strip().splitlines()[-1]
        except WorkerError as error:
            reason = str(error)
        if path.is_file():
            return Graph(without_shared(path, package.artifact.files))
    if package.spec.backend == "onnxruntime":
        raise SpecError(package.spec.name, [Problem("backend", f"the model has no ONNX graph: {reason}")])
    return Graph(reason=reason)


def has_graph(package: Package) -> bool:
    return package.spec.handler is None and task_of(package.task).graph
