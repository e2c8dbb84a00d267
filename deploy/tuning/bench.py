"""A separate server that measures one candidate after the other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from client import ClientError, RestManagement
from client.payload import encode
from deploy.archive import Archive
from deploy.cgroup import cores
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.readiness import check_alive, wait_listening
from deploy.torchserve import TorchServe
from deploy.tuning.candidate import Candidate
from deploy.tuning.load_processes import LoadProcesses, processes_for
from deploy.tuning.rest_load import Target
from deploy.tuning.sample import Sample
from deploy.tuning.trial import Point, Trial

WARM_UP = 1.0  # seconds at each concurrency that are not counted
FIRST_WARM_UP = 5.0  # seconds of load before the first measurement: the server compiles itself


class Bench:
    """Measures candidates for `archive` under a load of its own sample, or of `inputs`; a context manager.

    concurrencies: requests at once, each measured for `seconds`. logs: a folder that is to keep the server's logs.
    """

    def __init__(
        self,
        archive: Path,
        concurrencies: list[int],
        seconds: float,
        gpus: int = 0,
        inputs: list[Path] | None = None,
        logs: Path | None = None,
    ) -> None:
        self.archive, self.concurrencies, self.seconds, self.gpus = archive, concurrencies, seconds, gpus
        self.logs = logs
        self.processes = LoadProcesses(processes_for(cores(), gpus))
        self.folder = Path(tempfile.mkdtemp(prefix="tune-"))
        self.store = self.folder / "store"
        self.store.mkdir()
        described = Archive.read(archive)
        self.name = described.name
        bodies = [encode(path) for path in inputs or [described.sample(self.folder)]]
        self.bodies = [body for body, _ in bodies]
        self.content_type = bodies[0][1]
        self.ports = Ports.free()
        self.warmed_up = False
        self.server = TorchServe(self.store, self.folder / "run", self.ports, tokens=False)

    def __enter__(self) -> Bench:
        try:
            self.server.start()
            with RestManagement(self.server.server) as management:
                wait_listening(self.server.run, management)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.processes.close()
        self.server.stop()
        if self.logs and (self.server.run / "logs").is_dir():
            shutil.copytree(self.server.run / "logs", self.logs, dirs_exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def measure(self, candidate: Candidate) -> Trial:
        """Start a candidate's workers, put load on them, end them. One that does not start gives a trial as well."""
        try:
            with self.serving(candidate):
                return Trial(candidate, [self.point(concurrency) for concurrency in self.concurrencies])
        except ClientError as error:
            check_alive(self.server.run)
            return Trial(candidate, [], str(error))

    @contextmanager
    def serving(self, candidate: Candidate) -> Iterator[None]:
        """A context in which the candidate's workers have loaded the model; they end with it. Raises ClientError."""
        path = self.store / "candidate.mar"
        candidate.write(self.archive, path, self.gpus)
        with RestManagement(self.server.server) as management:
            management.register(path.name, batch_size=candidate.size, max_batch_delay=candidate.delay_ms)
            try:
                if not self.warmed_up:
                    self.load(max(self.concurrencies), FIRST_WARM_UP)
                    self.warmed_up = True
                yield
            finally:
                management.unregister(self.name)

    def point(self, concurrency: int) -> Point:
        sample = self.load(concurrency, self.seconds)
        return Point(concurrency, sample.throughput, sample.percentile(50), sample.percentile(99), sample.errors)

    def load(self, concurrency: int, seconds: float) -> Sample:
        target = Target(self.ports.inference, f"/predictions/{self.name}", {"Content-Type": self.content_type})
        try:
            return self.processes.closed_loop(target, self.bodies, concurrency, seconds, WARM_UP)
        except OSError as error:
            raise DeployError(f"the server cannot be reached: {error}") from None
