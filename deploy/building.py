"""Builds archives in one process, several at a time, while the server is already starting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

import psutil

from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.models import Model

# Building keeps all cores busy; the server's workers, and so the first answers, have priority over it.
NICE = 10


class Building:
    """Builds the archives of `models` in order, several at a time; a context manager that leaves no process behind.

    tell: called with each line that the archiver prints, from a thread.
    """

    def __init__(self, models: Sequence[Model], tell: Callable[[str], None]) -> None:
        self.models = models
        self.tell = tell
        self.lines: list[str] = []
        self.process: psutil.Popen | None = None
        self.reader: threading.Thread | None = None

    def __enter__(self) -> Building:
        if self.models:
            first = self.models[0]
            specs = [str(model.spec) for model in self.models]
            self.process = psutil.Popen(
                [
                    *(sys.executable, "-m", "archiver", "build", *specs),
                    *("--artifacts", str(first.artifacts), "--store", str(first.store)),
                ],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C must not reach it: this process ends it properly
            )
            self.process.nice(NICE)
            self.reader = threading.Thread(target=self.read, name="building", daemon=True)
            self.reader.start()
        return self

    def read(self) -> None:
        if self.process and self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line.rstrip())
                self.tell(line.rstrip())

    @property
    def done(self) -> bool:
        """Whether all archives are built, or there was nothing to build."""
        return self.process is None or self.process.poll() == 0

    def check(self) -> None:
        """Raises DeployError with the archiver's output as soon as an archive could not be built."""
        if self.process and self.process.poll():
            self.end()
            said = "\n".join(line for line in self.lines if line)
            raise DeployError(f"an archive could not be built:\n{said}")

    def end(self) -> None:
        if self.process and self.reader:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()
            self.reader.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
