"""This process's own warm process, from which the archiver's workers are forked: it imports torch once for all."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from zygote.client import Unreachable
from zygote.libraries import EVERY
from zygote.process import Zygote

FLAGS = ("-I", "-B")  # of an interpreter that takes nothing from its surroundings and leaves nothing in an archive


class Warm:
    """Started when it is first asked for, started again where it died; ends with this process. For several threads."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.zygote: Zygote | None = None

    def address(self, environment: Mapping[str, str]) -> str:
        """Where it takes jobs. environment: what its libraries read as they are imported. Raises Unreachable."""
        with self.lock:
            if self.zygote is None or not self.zygote.alive:
                try:
                    folder = Path(tempfile.mkdtemp(prefix="archiver-"))
                    self.zygote = Zygote(folder, EVERY, environment, FLAGS)
                except OSError as error:
                    raise Unreachable(str(error)) from None
                atexit.register(self.end, self.zygote, os.getpid())
            return self.zygote.address

    def end(self, zygote: Zygote, owner: int) -> None:
        if os.getpid() == owner:  # not a fork of this process
            zygote.stop()
