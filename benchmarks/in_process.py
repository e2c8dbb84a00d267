"""The in-process limit: the same pictures through the same model in plain Python, a process a core, no server."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field

from benchmarks.models import PROJECT, Classifier
from deploy.torchserve import ALLOCATOR


@dataclass
class InProcess:
    """`processes` of one thread each, that classify batches of `size` pictures for as long as they are told."""

    classifier: Classifier
    way: str
    size: int
    processes: int
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"in process, {'ONNX Runtime' if self.way == 'fast' else 'PIL and eager'}, batches of {self.size}"

    def start(self) -> None:
        command = [sys.executable, "-m", "benchmarks.classify", self.way, self.classifier.name, str(self.size)]
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
        """Pictures a second, all processes together."""
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
            if process.stdin is not None:
                process.stdin.close()
            process.wait(timeout=30)
            if process.stdout is not None:
                process.stdout.close()
        self.running = []
