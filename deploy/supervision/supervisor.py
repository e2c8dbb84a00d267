"""Restarts the processes of a server that have ended: TorchServe with its models, the edge, the warm process."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path

from client import ClientError, RestManagement
from client.explanations import is_explainer
from client.model_status import ModelStatus
from deploy.errors import DeployError
from deploy.ports import HOST
from deploy.processes import alive, descendants
from deploy.readiness import LOADING, check_alive, wait_listening
from deploy.run_folder import state_of
from deploy.serving_plan import register_again
from deploy.status import Status
from deploy.supervision.cause import cause
from deploy.supervision.java_memory import JavaMemory
from deploy.supervision.logs import bound
from deploy.supervision.process import ADMIT, DETACH
from deploy.supervision.record import Record
from deploy.supervision.recovery import Recovery, stands_still
from deploy.surface.status_server import StatusServer
from deploy.torchserve import TorchServe
from zygote.death import Verdict
from zygote.usage import memory_kills

logger = logging.getLogger(__name__)
TICK = 0.5  # seconds between two checks of the process
LOOK = 2.0  # seconds between two checks of the models
SILENT = 30.0  # seconds without an answer, after which the server is ended
SHORTEST, LONGEST = 1.0, 60.0  # seconds before it is started again; twice as long each time
WELL = 600.0  # seconds; a server that was up for so long begins with the shortest pause again


class Supervisor:
    """The supervisor of a started server. asked: set when everything has to end."""

    def __init__(self, server: TorchServe, record: Record, asked: threading.Event) -> None:
        self.server, self.record, self.asked = server, record, asked
        self.recovery, self.memory = Recovery(self.record), JavaMemory()
        self.status = Status(server.server, server.store, names=(), run=server.run)
        self.surface: StatusServer | None = None
        self.models: list[ModelStatus] = []
        self.defaults: dict[str, str] = {}
        self.served: list[str] = []  # the models that the edge must find ready
        self.kills = memory_kills()
        self.admitted = self.detached = False
        self.left = threading.Event()  # `serve` has gone
        self.looked = self.answered = self.began = time.monotonic()
        self.pause = SHORTEST

    def listen(self) -> None:
        """Execute the orders of `serve` until it ends."""
        for line in sys.stdin:
            self.admitted |= line.strip() == ADMIT
            self.detached |= line.strip() == DETACH
        self.left.set()

    def watch(self) -> None:
        """Supervise the server until everything has to end."""
        while not self.asked.wait(TICK):
            if self.left.is_set() and not (self.admitted and self.detached):
                logger.warning("the command that started the server has gone: the server is stopped")
                return
            try:
                self.keep_running()
            except Exception:  # a fault here must not end the server, which has to keep running
                logger.exception("the supervisor has failed, and goes on")

    def keep_running(self) -> None:
        """Check once. If a server ends while it is being started, `serve` reports the reason and stops it."""
        status = self.server.process.poll()
        if status is None:
            self.answered = self.answered if self.admitted else time.monotonic()
            if self.admitted and self.server.keep_warm():
                logger.error("the process that workers are forked from had ended; it is started again")
            if time.monotonic() - self.looked > LOOK:
                self.look()
        elif self.admitted:
            self.restart(*cause(status, self.kills))

    def look(self) -> None:
        self.looked = time.monotonic()
        bound(self.server.run / "logs")
        if self.admitted:
            self.memory.look(self.server.process.pid)
            self.look_at_stopped()
            self.look_at_models()
            self.look_at_edge()
            self.look_at_surface()

    def look_at_stopped(self) -> None:
        """Resume processes that a signal has stopped; workers, forks of the zygote, are checked with their models."""
        state = state_of(self.server.run) or {}
        heads = [head for head in (alive(state), alive(state.get("edge"))) if head]
        serving = [alive(state.get("zygote")), *heads, *(below for head in heads for below in descendants(head))]
        for process in serving:
            if process and stands_still(process):
                logger.warning("%s (%d) was stopped by a signal; it goes on", process.name(), process.pid)
                process.resume()

    def look_at_models(self) -> None:
        """Remember the models and replace lost workers; restart a server that does not cooperate."""
        if not self.status.look():
            if time.monotonic() - self.answered > SILENT:
                self.end(f"it has not answered for {SILENT:g} s")
            return
        self.answered = time.monotonic()
        self.models, self.defaults = self.status.models, self.status.defaults
        # Models that were unregistered meanwhile are not waited for, nor are explanations.
        served = self.served or sorted(name for name in self.defaults if not is_explainer(name))
        self.served = [name for name in served if name in self.defaults]
        if self.server.forking:
            return
        try:
            with RestManagement(self.status.server) as management:
                self.recovery.look(management, self.models)
        except ClientError as error:
            self.end(f"it did not replace a worker that it had lost: {error}")

    def look_at_edge(self) -> None:
        state = state_of(self.server.run) or {}
        if "edge" not in state or alive(state["edge"]):
            return
        from deploy.edge.process import start as start_edge  # here, because few servers have one

        logger.error("the edge has ended; it is started again")
        try:
            start_edge(self.server.run, self.server.ports, self.served, Path(state["ca_file"]).parent)
        except (DeployError, OSError) as error:
            logger.error("it could not be started again: %s", error)

    def look_at_surface(self) -> None:
        """Serve the status and metrics of the server if no edge's process does."""
        self.status.names = set(self.served)
        if self.surface or "edge" in (state_of(self.server.run) or {}):
            return
        self.surface = StatusServer(self.status, HOST, self.server.ports, self.server.admission)
        self.surface.start()
        self.status.admit()

    def end(self, reason: str) -> None:
        self.server.process.kill()
        self.server.process.wait()
        self.restart(Verdict.HUNG, reason)

    def restart(self, verdict: Verdict, reason: str) -> None:
        """Restart TorchServe with its models, again and again until that succeeds."""
        if time.monotonic() - self.began > WELL:
            self.pause = SHORTEST
        self.status.refuse()
        self.record.add_restart(verdict, reason)
        logger.error("TorchServe is started again in %g s: %s: %s", self.pause, verdict, reason)
        while not self.asked.wait(self.pause):
            self.pause = min(2 * self.pause, LONGEST)
            started = time.monotonic()
            try:
                self.server.restart()
                self.restore()
            except (DeployError, ClientError, OSError) as error:
                logger.error("that failed, and is tried again in %g s: %s", self.pause, error)
                continue
            logger.warning("serving again after %.0f s", time.monotonic() - started)
            self.kills = memory_kills()
            self.began = self.answered = time.monotonic()
            self.status.admit()
            return

    def restore(self) -> None:
        """Register the models as they were at the last check, without those whose archives are gone."""
        run, waiting = self.server.run, []
        with RestManagement(self.server.server) as management:
            wait_listening(run, management)
            # The first version of a model becomes its default.
            for model in sorted(self.models, key=lambda each: self.defaults.get(each.name) != each.version):
                try:
                    register_again(management, model)
                    waiting.append(model)
                except ClientError as error:
                    logger.error("%s %s does not come back: %s", model.name, model.version, error)
            end = time.monotonic() + LOADING
            while waiting and time.monotonic() < end and not self.asked.wait(TICK / 2):
                check_alive(run)
                waiting = [each for each in waiting if not management.describe(each.name, each.version).ready]
