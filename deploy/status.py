"""True readiness and what TorchServe does not export, over HTTP.

/readyz for who starts the server, /available for an edge, /metrics for Prometheus.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from client import ClientError, NotFound, RestManagement, Server
from client.model_status import ModelStatus
from deploy.admission import Admission
from deploy.edge.registration import ADMISSION, MAX_CALL, archive_of
from deploy.errors import DeployError
from deploy.hardware import Hardware
from deploy.run_folder import state_of
from deploy.supervision.record import Record
from deploy.supervision.recovery import is_broken

POLL = 2.0
MODEL = ("model", "version")
NO_HEADERS: Mapping[str, str] = {}


class Status:
    """The state of a server's models; one thread looks again every POLL seconds.

    ready: every model has answered its warm-up request (the caller says so by `admit`), all its workers are up, none of
    them is lost (deploy/supervision/recovery.py), and the server is not about to end (`refuse`).

    available: the same of one model at least, so that a model that is broken does not take the others along; or no
    model is to have workers, as while the last one is unregistered: the edge carries the management API as well.
    """

    def __init__(self, server: Server, store: Path, names: Sequence[str], run: Path | None = None) -> None:
        """names: of the models that must be ready, until they are unregistered; more may be registered later.

        run: the run folder whose supervisor's record is reported with the rest.
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
        self.pids: dict[tuple[str, str], set[int]] = {}
        self.restarts: dict[tuple[str, str], int] = {}
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
        """From now on there is nothing but 503, so that an edge sends nothing more."""
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
        unwanted = bool(self.models) and not any(status.min_workers for status in self.models)
        return self.ready or (self.admitted and (bool(self.up) or unwanted))

    @property
    def pending(self) -> int:
        """Requests that wait for a worker."""
        return sum(status.pending for status in self.models)

    def look(self) -> bool:
        """Ask the server once, and say whether it has answered; one that does not has no models."""
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
            for status in found:
                self.count_restarts(status)
            if self.process() == self.began:  # one that has been started again gets its models back one by one
                self.seen |= defaults.keys()
                self.names -= self.seen - defaults.keys() if answered else set()
            self.models, self.defaults = found, defaults
        return answered

    def count_restarts(self, status: ModelStatus) -> None:
        """A worker with a new process id is a new one: more of them than the model has grown by were restarted."""
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
        """SHA-256 of an archive of the store; read once for each file that goes by its name."""
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
            for state in ("READY", "UNLOADING"):  # TorchServe has no other: a loading worker is UNLOADING
                number = sum(worker.status == state for worker in status.workers)
                workers.add_metric([*key, state.lower()], number)
            queue.add_metric(key, status.pending)
            room.add_metric(key, status.pending + status.remaining)
            again.add_metric(key, restarts.get(key, 0))
            default = str(self.defaults.get(status.name) == status.version).lower()
            info.add_metric([*key, default, self.digest(status.archive)], 1)
        yield from (workers, queue, room, again, info)
        yield from self.supervision(models)

    def supervision(self, models: Iterable[ModelStatus]) -> Iterable[Metric]:
        """Restarts and recoveries, with zeros to start from."""
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


class StatusServer:
    """The HTTP side of a Status, in threads of its own; `stop` ends them.

    admission: what decides which archives may be registered, as the edge asks before it passes such a call on; None
    for all of the store.
    """

    def __init__(self, status: Status, host: str, port: int, admission: Admission | None = None) -> None:
        registry = CollectorRegistry()
        registry.register(status)
        registry.register(Hardware())

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/readyz":
                    code, text = (200, b"ready\n") if status.ready else (503, b"not ready\n")
                    self.reply(code, text, "text/plain")
                elif self.path == "/available":
                    # Envoy takes a server that is degraded for want of another.
                    degraded = {} if status.ready else {"x-envoy-degraded": "true"}
                    code, text = (200, b"available\n") if status.available else (503, b"not available\n")
                    self.reply(code, text, "text/plain", degraded)
                elif self.path == "/metrics":
                    self.reply(200, generate_latest(registry), "text/plain; version=0.0.4; charset=utf-8")
                else:
                    self.reply(404, b"there are /readyz, /available and /metrics\n", "text/plain")

            def do_POST(self) -> None:
                """A call of the management API, as it is, below ADMISSION."""
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(min(length, MAX_CALL))
                try:
                    name = archive_of(self.path.removeprefix(ADMISSION), body)
                    if admission and name:
                        admission.admit(name)
                    self.reply(200, b"", "text/plain")
                except DeployError as error:
                    self.reply(422, str(error).encode(), "text/plain; charset=utf-8")

            def reply(self, code: int, body: bytes, content_type: str, more: Mapping[str, str] = NO_HEADERS) -> None:
                self.send_response(code)
                self.send_header("Content-Type", content_type)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return  # a line every second and caller says nothing

        self.status = status
        self.http = ThreadingHTTPServer((host, port), Handler)
        self.threads = [
            threading.Thread(target=self.http.serve_forever, daemon=True),
            threading.Thread(target=status.watch, daemon=True),
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.status.ended.set()
        self.http.shutdown()
        self.http.server_close()


def drain(status: Status, seconds: float, quiet: float) -> None:
    """Refuse readiness, then wait until nothing waits for a worker any more, at most `seconds`.

    quiet: seconds to wait first, in which the edge notices, and again at the end, in which the last batches are
    answered.
    """
    status.refuse()
    end = time.monotonic() + seconds
    time.sleep(quiet)
    status.look()
    while status.pending and time.monotonic() < end:
        time.sleep(0.2)
        status.look()
    time.sleep(min(quiet, max(0.0, end - time.monotonic())))
