"""The state of a server's models: their readiness, and metrics that TorchServe does not export."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from client import ClientError, NotFound, RestManagement, Server
from client.model_status import ModelStatus
from deploy.run_folder import state_of
from deploy.supervision import deaths
from deploy.supervision.drift import References
from deploy.supervision.record import Record
from deploy.supervision.recovery import is_broken

POLL = 2.0
HANGS = 60.0  # seconds without an answer
MODEL = ("model", "version")


class Status:
    """The state of a server's models, which one thread updates every POLL seconds.

    ready: every model has answered its warm-up request (the caller calls `admit`), all its workers are up, none is lost
    (deploy/supervision/recovery.py), and the server is not about to end (`refuse`).

    available: the same for at least one model, so that a broken model does not affect the others. admitted: the server
    can be managed, whatever the state of its models. alive: it answered within the last HANGS seconds.
    """

    def __init__(self, server: Server, store: Path, names: Sequence[str], run: Path | None = None) -> None:
        """names: the models that must be ready, until they are unregistered; more may be registered later.

        run: the run folder whose supervisor's record is reported as well.
        """
        self.server = server
        self.store = store
        self.run = run
        self.names = set(names)
        self.admitted = False
        self.seen: set[str] = set()
        self.began = self.process()
        self.models: list[ModelStatus] = []
        self.defaults: dict[str, str] = {}
        self.digests: dict[tuple[str, int, int], str] = {}
        self.references = References(store)
        self.pids: dict[tuple[str, str], set[int]] = {}
        self.restarts: dict[tuple[str, str], int] = {}
        self.answered = time.monotonic()
        self.ended = threading.Event()
        self.lock = threading.Lock()

    def process(self) -> tuple[int, float] | None:
        """Pid and birth of the server; None without a run folder."""
        state = state_of(self.run) if self.run else None
        server = (state or {}).get("torchserve") or state
        return (int(server["pid"]), float(server["created"])) if server else None

    def admit(self) -> None:
        self.admitted = True

    def refuse(self) -> None:
        """Answer only 503 from now on, so that an edge sends no more requests."""
        self.admitted = False

    @property
    def up(self) -> set[str]:
        """The models that answer."""
        return {status.name for status in self.models if status.ready and not is_broken(status)}

    @property
    def ready(self) -> bool:
        return self.admitted and self.names <= self.up

    @property
    def available(self) -> bool:
        return self.ready or (self.admitted and bool(self.up))

    @property
    def alive(self) -> bool:
        return time.monotonic() - self.answered < HANGS

    @property
    def pending(self) -> int:
        """Requests that wait for a worker."""
        return sum(status.pending for status in self.models)

    def look(self) -> bool:
        """Ask the server once; returns whether it answered. Without an answer it counts as having no models."""
        answered, found, defaults = True, list[ModelStatus](), dict[str, str]()
        try:
            with RestManagement(self.server, timeout=POLL * 2) as management:
                for model in management.list_models():
                    with suppress(NotFound):  # unregistered since it was listed
                        versions = management.versions(model.name)
                        only = versions[0].version if len(versions) == 1 else None
                        defaults[model.name] = only or management.describe(model.name).version
                        found += versions
        except ClientError:
            answered, found, defaults = False, [], {}
        with self.lock:
            self.answered = time.monotonic() if answered else self.answered
            for status in found:
                self.count_restarts(status)
            if self.process() == self.began:  # a restarted server gets its models back one by one
                self.seen |= defaults.keys()
                self.names -= self.seen - defaults.keys() if answered else set()
            self.models, self.defaults = found, defaults
        return answered

    def count_restarts(self, status: ModelStatus) -> None:
        """Count restarts: workers with new process ids, less the number by which the model was scaled up."""
        key = (status.name, status.version)
        now = {worker.pid for worker in status.workers if worker.pid > 0}
        before = self.pids.get(key, now)
        self.restarts[key] = self.restarts.get(key, 0) + min(len(now - before), len(before - now))
        if now:
            self.pids[key] = now

    def watch(self) -> None:
        while not self.ended.wait(POLL):
            self.look()

    def digest(self, archive: str) -> str:
        """SHA-256 of an archive of the store; computed once for each file of that name."""
        path = self.store / Path(archive).name
        if not path.is_file():
            return ""
        state = path.stat()
        key = (path.name, state.st_mtime_ns, state.st_size)
        if key not in self.digests:
            with path.open("rb") as file:
                self.digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self.digests[key]

    def collect(self) -> Iterable[Metric]:
        """For prometheus_client's registry."""
        with self.lock:
            models, restarts = list(self.models), dict(self.restarts)
        yield GaugeMetricFamily("bundle_ready", "1 while every model answers.", value=float(self.ready))
        workers = GaugeMetricFamily("bundle_model_workers", "Workers by state.", labels=[*MODEL, "state"])
        queue = GaugeMetricFamily("bundle_model_queue_pending", "Requests that wait for a worker.", labels=MODEL)
        room = GaugeMetricFamily("bundle_model_queue_capacity", "Requests that may wait.", labels=MODEL)
        again = CounterMetricFamily("bundle_worker_restarts", "Workers that were started again.", labels=MODEL)
        info = GaugeMetricFamily("bundle_model_info", "1 for each version.", labels=[*MODEL, "default", "sha256"])
        for status in models:
            key = (status.name, status.version)
            for state in ("READY", "UNLOADING"):  # TorchServe has no other state: a loading worker is UNLOADING
                number = sum(worker.status == state for worker in status.workers)
                workers.add_metric([*key, state.lower()], number)
            queue.add_metric(key, status.pending)
            room.add_metric(key, status.pending + status.remaining)
            again.add_metric(key, restarts.get(key, 0))
            default = str(self.defaults.get(status.name) == status.version).lower()
            info.add_metric([*key, default, self.digest(status.archive)], 1)
        yield from (workers, queue, room, again, info)
        if self.run:
            yield from deaths.metrics(self.run, [(status.name, status.version) for status in models])
        yield self.references.metric(models)
        yield from self.supervision(models)

    def supervision(self, models: Iterable[ModelStatus]) -> Iterable[Metric]:
        """Restarts and recoveries, starting from zeros."""
        record = Record.read(self.run) if self.run else Record(Path())
        yield CounterMetricFamily(
            "bundle_server_restarts", "How often TorchServe was started again.", value=float(record.restarted)
        )
        replaced = CounterMetricFamily(
            "bundle_model_recoveries", "How often workers that TorchServe had lost were replaced.", labels=MODEL
        )
        for status in models:
            replaced.add_metric(
                [status.name, status.version], record.recovered.get(f"{status.name}/{status.version}", 0)
            )
        yield replaced


def drain(status: Status, seconds: float, quiet: float) -> None:
    """Refuse readiness, then wait until no request waits for a worker any more, at most `seconds`.

    quiet: seconds to wait first, so that the edge notices, and again at the end, so that the last batches are answered.
    """
    status.refuse()
    end = time.monotonic() + seconds
    time.sleep(quiet)
    status.look()
    while status.pending and time.monotonic() < end:
        time.sleep(0.2)
        status.look()
    time.sleep(min(quiet, max(0.0, end - time.monotonic())))
