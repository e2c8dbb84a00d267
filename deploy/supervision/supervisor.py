"""Starts TorchServe again when it has ended, with the models it had, and the edge with it."""

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
from deploy.processes import GRACE, alive, descendants, wait_ended
from deploy.readiness import LOADING, check_alive, wait_listening
from deploy.run_folder import state_of, write_state
from deploy.serving_plan import register_again
from deploy.status import Status
from deploy.supervision.cause import cause
from deploy.supervision.logs import bound
from deploy.supervision.process import ADMIT, DETACH
from deploy.supervision.record import Record
from deploy.supervision.recovery import Recovery, stands_still
from deploy.torchserve import TorchServe
from zygote.usage import memory_kills

logger = logging.getLogger(__name__)
TICK = 0.5  # seconds between two looks at the process
LOOK = 2.0  # seconds between two looks at the models
SILENT = 30.0  # seconds without an answer, after which the server is ended
SHORTEST, LONGEST = 1.0, 60.0  # seconds before it is started again; twice as long each time
WELL = 600.0  # seconds; a server that was up for so long begins with the shortest pause again


class Supervisor:
    """Of a server that has been started. asked: set once everything is to end."""

    def __init__(self, server: TorchServe, record: Record, asked: threading.Event) -> None:
        self.server, self.record, self.asked = server, record, asked
        self.recovery = Recovery(self.record)
        self.status = Status(server.server, server.store, names=())
        self.models: list[ModelStatus] = []
        self.defaults: dict[str, str] = {}
        self.served: list[str] = []  # the models that the edge must find ready
        self.kills = memory_kills()
        self.admitted = self.detached = False
        self.left = threading.Event()  # `serve` has gone
        self.looked = self.answered = self.began = time.monotonic()
        self.pause = SHORTEST

    def listen(self) -> None:
        """Take the orders of `serve`, until it has gone."""
        for line in sys.stdin:
            self.admitted |= line.strip() == ADMIT
            self.detached |= line.strip() == DETACH
        self.left.set()

    def watch(self) -> None:
        """Return when everything is to end."""
        while not self.asked.wait(TICK):
            if self.left.is_set() and not (self.admitted and self.detached):
                logger.warning("the command that started the server has gone: the server is stopped")
                return
            try:
                self.keep_running()
            except Exception:  # a fault here must not end the server that it is to keep running
                logger.exception("the supervisor has failed, and goes on")

    def keep_running(self) -> None:
        """One look. Of a server that ends while it is being started, `serve` says why, and stops it."""
        status = self.server.process.poll()
        if status is None:
            self.answered = self.answered if self.admitted else time.monotonic()
            if time.monotonic() - self.looked > LOOK:
                self.look()
        elif self.admitted:
            self.restart(cause(status, self.kills))

    def look(self) -> None:
        self.looked = time.monotonic()
        bound(self.server.run / "logs")
        if self.admitted:
            self.look_at_stopped()
            self.look_at_models()
            self.look_at_edge()

    def look_at_stopped(self) -> None:
        """Make what a signal has stopped go on; forks of the zygote, the workers, are looked at with their models."""
        state = state_of(self.server.run) or {}
        heads = [head for head in (alive(state), alive(state.get("edge"))) if head]
        serving = [alive(state.get("zygote")), *heads, *(below for head in heads for below in descendants(head))]
        for process in serving:
            if process and stands_still(process):
                logger.warning("%s (%d) was stopped by a signal; it goes on", process.name(), process.pid)
                process.resume()

    def look_at_models(self) -> None:
        """Remember them and replace workers that are lost; restart a server that does not do its part."""
        if not self.status.look():
            if time.monotonic() - self.answered > SILENT:
                self.end(f"it has not answered for {SILENT:g} s")
            return
        self.answered = time.monotonic()
        self.models, self.defaults = self.status.models, self.status.defaults
        # A model that was unregistered since is not waited for, and no explanations are.
        served = self.served or sorted(name for name in self.defaults if not is_explainer(name))
        self.served = [name for name in served if name in self.defaults]
        try:
            with RestManagement(self.status.server) as management:
                self.recovery.look(management, self.models)
        except ClientError as error:
            self.end(f"it did not replace a worker that it had lost: {error}")

    def look_at_edge(self) -> None:
        edge = (state_of(self.server.run) or {}).get("edge")
        if edge and alive(edge) is None:
            logger.error("the edge has ended; it is started again")
            try:
                self.restart_edge()
            except (DeployError, OSError) as error:
                logger.error("it could not be started again: %s", error)

    def end(self, reason: str) -> None:
        self.server.process.kill()
        self.server.process.wait()
        self.restart(reason)

    def restart(self, reason: str) -> None:
        """Start TorchServe again, with the models it had, until that succeeds."""
        if time.monotonic() - self.began > WELL:
            self.pause = SHORTEST
        self.record.add_restart(reason)
        logger.error("TorchServe is started again in %g s: %s", self.pause, reason)
        while not self.asked.wait(self.pause):
            self.pause = min(2 * self.pause, LONGEST)
            started = time.monotonic()
            try:
                self.server.restart()
                self.restore()
                self.restart_edge()
            except (DeployError, ClientError, OSError) as error:
                logger.error("that failed, and is tried again in %g s: %s", self.pause, error)
                continue
            logger.warning("serving again after %.0f s", time.monotonic() - started)
            self.kills = memory_kills()
            self.began = self.answered = time.monotonic()
            return

    def restore(self) -> None:
        """Register the models as they were at the last look; one whose archive has gone is left out."""
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

    def restart_edge(self) -> None:
        """With the server's keys, which are new after a restart."""
        state = state_of(self.server.run) or {}
        if "edge" not in state:
            return
        keeper = alive(state["edge"])
        if keeper:
            keeper.terminate()
            wait_ended(keeper, GRACE)
        from deploy.edge.process import start as start_edge  # here, because few servers have one

        write_state(self.server.run, state["torchserve"])
        start_edge(self.server.run, self.server.ports, self.served, Path(state["ca_file"]).parent)
