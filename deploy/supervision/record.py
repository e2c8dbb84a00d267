"""The restarts and recoveries of a server, in a file of the run folder that `status` and Prometheus read."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from zygote.death import Verdict

NAME = "supervisor.json"
KEPT = 20  # number of restarts whose reasons are kept


@dataclass(frozen=True)
class Restart:
    """at: seconds since 1970. reason: why TorchServe had ended, or was ended. verdict: as for workers."""

    at: float
    reason: str
    verdict: str


@dataclass
class Record:
    """pid, created: of the supervisor; 0 in a container, whose own restarts are the container engine's to count.

    restarted: how often TorchServe was started again; restarts: the last of these times. recovered: how often workers
    of "MODEL/VERSION" were replaced. Only the supervisor writes it.
    """

    run: Path
    pid: int = 0
    created: float = 0.0
    restarted: int = 0
    restarts: list[Restart] = field(default_factory=list)
    recovered: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Path) -> Self:
        """The record in the run folder, or a new one if the folder has none."""
        try:
            values = json.loads((run / NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(run)
        return cls(run, **{**values, "restarts": [Restart(**each) for each in values["restarts"]]})

    def write(self) -> None:
        """Write it atomically, because others may read it at any time."""
        values = {name: value for name, value in asdict(self).items() if name != "run"}
        partial = self.run / f".{NAME}.partial"
        with suppress(OSError):  # a full disk must not prevent a restart of the server
            partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
            partial.replace(self.run / NAME)

    def add_restart(self, verdict: Verdict, reason: str) -> None:
        self.restarted += 1
        self.restarts = [*self.restarts, Restart(time.time(), reason, str(verdict))][-KEPT:]
        self.write()

    def add_recovery(self, model: str, version: str) -> None:
        key = f"{model}/{version}"
        self.recovered[key] = self.recovered.get(key, 0) + 1
        self.write()
