"""The archiver's warm process, which imports torch once, and from which its workers are forked."""

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

# The interpreter ignores PYTHON… variables, the user's packages and the current folder, and writes no .pyc files.
FLAGS = ("-I", "-B")


class WarmProcess:
    """Starts the warm process when it is first needed, and again if it has died; it ends with this one. Thread-safe.

    zygote: the current process; None before the first use.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.zygote: Zygote | None = None

    def address(self, environment: Mapping[str, str]) -> str:
        """The path of the socket on which it accepts jobs. Raises Unreachable if it cannot be started.

        environment: variables for a process to be started; libraries read some of them when they are imported.
        """
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
        """Stop the process when its owner exits, but not when a fork of the owner does."""
        if os.getpid() == owner:
            zygote.stop()
