"""The server under attack: one of this checkout's own, with tiny models, behind an edge or bare."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self
from unittest.mock import patch

import psutil
import yaml

from client import ClientError, RestManagement, Server
from deploy.edge import process as edge_process
from deploy.edge.private_file import write_private
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.processes import alive
from deploy.readiness import load
from deploy.report import memory_of
from deploy.run_folder import public_server, running, server_of, state_of
from deploy.supervision.process import SupervisorProcess
from deploy.torchserve import TorchServe
from tests.chaos.clock import Clock

LOOKING = 1.0  # seconds between two looks at the workers
RATE = 1_000_000  # of requests that the edge lets through: the attack is not to end in 429
DISK = "512m"  # of a run folder whose disk can be filled
# A hostile request must not take the machine that this runs on: beyond this a worker gets a MemoryError.
ADDRESS_SPACE = 12 << 30


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes. workers: of all, shared pages once (PSS). java: resident."""

    workers: int
    java: int


class Target:
    """A context manager. folder: for everything it writes. with_edge: callers come through Envoy, as from outside.

    small_disk: the run folder is a file system of its own, where we may mount one; `has_small_disk` says so then.
    """

    def __init__(
        self, folder: Path, archives: Sequence[Path], with_edge: bool = True, small_disk: bool = False
    ) -> None:
        self.archives, self.with_edge = list(archives), with_edge
        self.models = tuple(archive.stem for archive in archives)
        self.run, self.secrets = folder / "run", folder / "secrets"
        self.has_small_disk = small_disk and mount(self.run)
        self.torchserve = TorchServe(archives[0].parent, self.run, Ports.free())
        self.seen: dict[int, str] = {}  # every worker there has been: its process id → its model
        self.expected = 0  # of the restarts: workers that we killed
        self.java_starts = 0  # of TorchServe, by anything but us
        self.java = 0  # the process id of TorchServe
        self.zygote = 0  # of the process that workers are forked from
        self.kept_logs: list[Path] = []  # of servers before this one
        self.ended = Event()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, clock: Clock | None = None) -> None:
        """clock: of all its processes but the edge's: Envoy does not start with libfaketime. Raises DeployError."""
        starts = self.java_starts
        with patch.dict(os.environ, clock.variables if clock else {}):
            self.supervisor = SupervisorProcess(self.torchserve)
            limit_memory(self.run)
            load(self.run, self.archives)
        if self.with_edge:
            self.write_clients()
            edge_process.start(self.run, self.torchserve.ports, self.models, self.secrets)
        self.supervisor.admit()
        self.ended.clear()
        self.look()
        self.java_starts = starts  # this one was asked for
        Thread(target=self.watch, name="watch", daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        self.torchserve.stop()
        if self.has_small_disk:
            subprocess.run(["/bin/umount", "--lazy", str(self.run)], check=False)

    def start_again(self, clock: Clock | None = None) -> None:
        """As `start`, in place of the server that there is."""
        self.ended.set()
        self.torchserve.stop()
        kept = self.run.parent / f"logs-{len(self.kept_logs) + 1}"
        self.kept_logs.append(Path(shutil.copytree(self.run / "logs", kept)))
        self.start(clock)
        self.expected += len(self.models)

    def write_clients(self) -> None:
        rate = {"requests_per_second": RATE, "burst": RATE}
        caller = {name: {"key": name * 8, **rate, "admin": name == "admin"} for name in ("chaos", "admin")}
        write_private(self.secrets / "clients.yaml", yaml.safe_dump({"clients": caller}))

    @property
    def server(self) -> Server:
        """As callers reach it."""
        return public_server(self.run)

    @property
    def key(self) -> str:
        """Of predictions."""
        path = self.server.key_file
        return str(json.loads(path.read_text(encoding="utf-8"))["inference"]["key"]) if path else ""

    def workers(self, model: str) -> list[int]:
        """Process ids, past the edge. Raises ClientError."""
        with RestManagement(server_of(self.run)) as management:
            return [worker.pid for worker in management.describe(model).workers if worker.pid > 0]

    def watch(self) -> None:
        while not self.ended.wait(LOOKING):
            self.look()

    def look(self) -> None:
        """Note new workers and a new TorchServe."""
        process = running(self.run)
        if process and process.pid != self.java:
            self.java, self.java_starts = process.pid, self.java_starts + 1
        zygote = alive((state_of(self.run) or {}).get("zygote"))
        if zygote and zygote.pid != self.zygote:
            self.zygote = zygote.pid
            limit_memory(self.run)
        try:
            for model in self.models:
                for pid in self.workers(model):
                    self.seen.setdefault(pid, model)
        except (ClientError, DeployError):
            return  # it is down, or starting

    def memory(self) -> Memory:
        """Now."""
        pids = [pid for pid in self.seen if psutil.pid_exists(pid)]
        return Memory(memory_of(pids), resident(self.java))

    def replace_workers(self, model: str) -> None:
        """Give a model new workers. Raises ClientError."""
        with RestManagement(server_of(self.run)) as management:
            self.expected += 1
            management.scale(model, 0, synchronous=False)
            time.sleep(LOOKING)
            management.scale(model, 1, synchronous=False)


def limit_memory(run: Path) -> None:
    """Of the process that workers are forked from, so of all of them."""
    zygote = alive((state_of(run) or {}).get("zygote"))
    if zygote:
        zygote.rlimit(psutil.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def mount(folder: Path) -> bool:
    """A small file system in memory at `folder`; False where we may not."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        return False
    command = ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def build(models: Sequence[str], folder: Path, say: Callable[[str], None]) -> list[Path]:
    """The archives of tiny models."""
    from tests import tiny_archives  # imports what training does, which takes seconds

    archives = []
    for number, model in enumerate(models, 1):
        say(f"building {model} ({number} of {len(models)})")
        archives.append(tiny_archives.build(model, folder))
    return archives
