"""The in-process limit: the same inputs through the same model in plain Python, a process a core, no server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.models import PROJECT, Classifier
from deploy.worker_environment import ALLOCATOR


@dataclass
class InProcess:
    """`processes` of one thread each, that work for as long as they are told.

    name: in the table. arguments: of `python -m`; the module says "ready", then answers each line with a number of
    seconds by how many inputs it has done in them.
    """

    name: str
    arguments: Sequence[str]
    processes: int
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> None:
        command = [sys.executable, "-m", *self.arguments]
        # OpenMP's threads would spin beside the one that works.
        environment = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": "1"}
        self.running = [
            subprocess.Popen(
                command,
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(self.processes)
        ]
        for process in self.running:
            self.line(process)

    def throughput(self, seconds: float) -> float:
        """Inputs a second, all processes together."""
        for process in self.running:
            if process.stdin is not None:
                process.stdin.write(f"{seconds}\n")
                process.stdin.flush()
        return sum(int(self.line(process)) for process in self.running) / seconds

    def line(self, process: subprocess.Popen[str]) -> str:
        text = process.stdout.readline() if process.stdout is not None else ""
        if not text:
            raise RuntimeError(f"{self.name} ended with {process.wait()}")
        return text

    def stop(self) -> None:
        for process in self.running:
            process.terminate()  # it has nothing to put away, and an orderly end of torch takes a second and a half
        for process in self.running:
            with process:  # closes its pipes and waits
                pass
        self.running = []


def classification(classifier: Classifier, way: str, size: int, processes: int) -> InProcess:
    """A classifier the usual way or the fast one, in batches of `size` images."""
    name = f"in process, {'ONNX Runtime' if way == 'fast' else 'PIL and eager'}, batches of {size}"
    return InProcess(name, ["benchmarks.classify", way, classifier.name, str(size)], processes)


def handler(archive: Path, size: int, processes: int, part: str = "all") -> InProcess:
    """An archive's model through its own handler's functions, in batches of `size`; part "model" only predicts."""
    return InProcess(f"{part}, batches of {size}", ["benchmarks.handle", str(archive), str(size), part], processes)
