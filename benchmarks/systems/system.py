"""A server under measurement: started once, stopped in between, so that only one at a time uses the machine."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.models import Classifier
from deploy.ports import free_ports
from deploy.tuning.rest_load import Target, closed_loop, open_loop
from deploy.tuning.sample import Sample

START = 180.0  # seconds until it must have answered


class System(ABC):
    """name: in the table. It serves `classifier` with `workers` processes of one thread each where it can be told."""

    name: str

    def __init__(self, classifier: Classifier, workers: int) -> None:
        self.classifier = classifier
        self.workers = workers
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.process: psutil.Process | None = None
        self.startup = float("nan")

    @abstractmethod
    def launch(self, port: int) -> psutil.Process:
        """Start the server and return at once."""

    @abstractmethod
    def target(self, port: int) -> Target:
        """Where it takes an image."""

    @abstractmethod
    def answer(self, body: bytes) -> tuple[int, float]:
        """(index, probability) of the most probable class in an answer."""

    def start(self, sample: bytes) -> None:
        """Start it and wait until it has answered; `startup` then holds the seconds."""
        [port] = free_ports(1)
        started = time.perf_counter()
        self.process = self.launch(port)
        self.port = port
        while True:
            if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
                raise RuntimeError(f"{self.name} ended; see {self.folder}")
            if time.perf_counter() - started > START:
                raise RuntimeError(f"{self.name} has not answered after {START:.0f} s; see {self.folder}")
            try:
                if closed_loop(self.target(port), [sample], 1, 0.2, 0.0).throughput > 0:
                    break
            except OSError:
                time.sleep(0.2)
        self.startup = time.perf_counter() - started

    def load(self, bodies: Sequence[bytes], concurrency: int, seconds: float, warm_up: float) -> Sample:
        """Requests for `seconds`, `concurrency` at a time."""
        return closed_loop(self.target(self.port), bodies, concurrency, seconds, warm_up)

    def constant(self, bodies: Sequence[bytes], rate: float, seconds: float) -> Sample | None:
        """Requests at a constant rate a second, whether or not it keeps up; None where it cannot be sent so."""
        return open_loop(self.target(self.port), bodies, rate, seconds)

    def family(self) -> list[psutil.Process]:
        if self.process is None or not self.process.is_running():
            return []
        return [self.process, *self.process.children(recursive=True)]

    def pause(self) -> None:
        """Keep it from using the machine: some servers poll while they wait."""
        for member in self.family():
            member.suspend()

    def resume(self) -> None:
        for member in self.family():
            member.resume()

    def memory(self) -> int:
        """Bytes of all its processes; pages they share count once (PSS)."""
        return sum(member.memory_full_info().pss for member in self.family())

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        times = [member.cpu_times() for member in self.family()]
        return sum(time.user + time.system for time in times)

    def stop(self) -> None:
        family: Sequence[psutil.Process] = self.family()
        for member in family:
            member.resume()
        for member in family[:1]:
            member.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=15)
        for member in left:
            member.kill()
        psutil.wait_procs(left, timeout=5)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None
