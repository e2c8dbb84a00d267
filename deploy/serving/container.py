"""The server as a container's first process: serves every archive of a store, drains on SIGTERM, exits 0."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from client import RestManagement
from deploy.admission import Admission
from deploy.archive import Archive, archives_in
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.readiness import load, tail
from deploy.run_folder import running
from deploy.status import POLL, Status, drain
from deploy.supervision.cause import cause
from deploy.supervision.java_memory import JavaMemory
from deploy.supervision.record import Record
from deploy.supervision.recovery import Recovery
from deploy.surface.status_server import StatusServer
from deploy.torchserve import TorchServe
from zygote.usage import memory_kills

QUIET = 3.0  # seconds: three of the edge's health checks


def serve(
    store: Path, run: Path, host: str, grace: float, admission: Admission | None = None, explain: Sequence[str] = ()
) -> None:
    """Serve until SIGTERM or SIGINT. Raises DeployError where the server ends by itself or a model fails.

    host: where everything listens, the status included. grace: seconds that draining may take; the container's own
    grace period must be longer. admission: from this store, where archives must be signed. explain: the models whose
    explanations are to be answered, beside those whose archives ask for it.
    """
    if admission:
        admission.empty()
        admission.look(say, settled=False)
        store = admission.store
    archives, names = [], []
    for path in archives_in(store):
        try:
            names.append(Archive.read(path).name)
            archives.append(path)
        except DeployError as error:
            print(f"left out: {error}", flush=True)
    if not archives:
        what = "no archive is signed as it must be" if admission else "no archives"
        where = admission.source if admission else store
        raise DeployError(f"{what} in {where}; mount a folder with {'signed ' if admission else ''}.mar files there")
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    ports = Ports()
    torchserve = TorchServe(store, run, ports, host=host, tokens=False, console=True, admission=admission)
    with torchserve:
        status = Status(torchserve.server, store, names, run)
        recovery, memory = Recovery(Record(run)), JavaMemory()
        server = StatusServer(status, host, ports, admission)
        server.start()
        if admission:
            admission.watch(asked, say)
        kills = memory_kills()
        try:
            load(
                run,
                archives,
                lambda name, state: print(f"{name}: {state}", flush=True),
                asked.is_set,
                leave_out=lambda path, why: left_out(status, path, why),
                explain=explain,
            )
            if not asked.is_set():
                status.look()
                status.admit()
                print("ready", flush=True)
            while not asked.wait(POLL):
                if running(run) is None:
                    verdict, why = cause(torchserve.process.wait(), kills)
                    raise DeployError(f"the server has ended: {verdict}: {why}\n{tail(run / 'logs' / 'server.log')}")
                memory.look(torchserve.process.pid)
                if torchserve.keep_warm():
                    say("the process that workers are forked from had ended; it is started again")
                if torchserve.forking:
                    continue
                with RestManagement(torchserve.server) as management:
                    recovery.look(management, status.models)
            print("draining", flush=True)
            drain(status, grace, QUIET)
        finally:
            server.stop()
    print("stopped", flush=True)


def say(line: str) -> None:
    print(line, flush=True)


def left_out(status: Status, path: Path, why: str) -> None:
    """An archive of somebody else's that cannot be served does not keep the others from being ready."""
    print(f"left out {path.name}: {why}", flush=True)
    status.names.discard(Archive.read(path).name)
