"""The supervisor as `serve` sees it.

The two talk over the supervisor's standard files: the settings go there as a line of JSON, the answer is STARTED or
what is wrong, and ADMIT and DETACH may follow. When `serve` has gone without having said both, everything ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.torchserve import TorchServe

STARTED, ADMIT, DETACH = "started", "admit", "detach"
LOG = "supervisor.log"
PAUSE = 0.5  # seconds


class SupervisorProcess:
    """Starts a supervisor, and by it the server. Raises DeployError where the server cannot be started."""

    def __init__(self, server: TorchServe) -> None:
        self.log = server.run.resolve() / "logs" / LOG
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.supervision"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal reaches `serve` alone
            text=True,
        )
        self.orders = cast(IO[str], self.process.stdin)
        self.say(to_line(server))
        answer = cast(IO[str], self.process.stdout).readline().strip()
        if answer != STARTED:
            raise DeployError(answer or "the process that starts the server has ended")

    def say(self, line: str) -> None:
        self.orders.write(line + "\n")
        self.orders.flush()

    def admit(self) -> None:
        """From now on the server is to be kept running."""
        self.say(ADMIT)

    def detach(self) -> None:
        """From now on the server does not end with this process."""
        self.say(DETACH)

    def reports(self) -> Iterator[str]:
        """Lines of its log, until it ends."""
        with self.log.open(encoding="utf-8") as file:
            while self.process.poll() is None:
                line = file.readline()
                if line:
                    yield line.rstrip()
                else:
                    time.sleep(PAUSE)


def to_line(server: TorchServe) -> str:
    """The settings of a server on a line of JSON, but for those that only a container's has."""
    return json.dumps(
        {
            "store": str(server.store.resolve()),
            "run": str(server.run.resolve()),
            "ports": asdict(server.ports),
            "preload": server.preload,
            "models": server.models,
            "admission": server.admission and server.admission.to_json(),
        }
    )


def from_line(line: str) -> TorchServe:
    values = json.loads(line)
    store, run, ports = Path(values["store"]), Path(values["run"]), Ports(**values["ports"])
    server = TorchServe(store, run, ports, preload=values["preload"], models=values["models"])
    if values["admission"]:
        from deploy.admission import Admission  # here, because the server starts sooner without it

        server.admission = Admission.from_json(values["admission"])
    return server
