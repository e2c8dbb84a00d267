"""The supervisor as `serve` sees it.

They communicate over the supervisor's standard streams: `serve` sends the settings as a line of JSON, the answer is
STARTED or an error, and ADMIT and DETACH may follow. If `serve` ends without having sent both, everything ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
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
    """Starts a supervisor, which starts the server. Raises DeployError if the server cannot be started."""

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
        """Ask the supervisor to keep the server running from now on."""
        self.say(ADMIT)

    def detach(self) -> None:
        """Let the server outlive this process."""
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
    """The settings of a server on a line of JSON."""
    values = {setting.name: getattr(server, setting.name) for setting in fields(server) if setting.init}
    paths = {name: str(values[name].resolve()) for name in ("store", "run")}
    admission = server.admission and server.admission.to_json()
    return json.dumps({**values, **paths, "ports": asdict(server.ports), "admission": admission})


def from_line(line: str) -> TorchServe:
    values = json.loads(line)
    if values["admission"]:
        from deploy.admission import Admission  # here, because the server starts sooner without it

        values["admission"] = Admission.from_json(values["admission"])
    paths = {name: Path(values[name]) for name in ("store", "run")}
    return TorchServe(**{**values, **paths, "ports": Ports(**values["ports"])})
