"""The warm process, as seen by the process that starts it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from zygote.client import INTERPRETER, SOCKET

SERVER = Path(__file__).with_name("server.py")
# Stands in for an interpreter, given the environment `Zygote.stand_in`.
PYTHON = Path(__file__).with_name("python")
BACKLOG = 1024  # clients that wait while it imports


class Zygote:
    """Starts importing `modules`; clients may connect at once, and wait.

    folder: for its socket alone, and removed with it. environment: what it and its libraries read when they start; a
    script that it runs has its own. flags: of the interpreter. log: where it reports what fails.

    It lives as long as a process holds `lifeline` open: this one, until `release`. until: the id of a process with
    which it ends instead. One that was killed may be followed by another in the same folder.
    """

    def __init__(
        self,
        folder: Path,
        modules: Sequence[str],
        environment: Mapping[str, str],
        flags: Sequence[str] = (),
        log: IO[Any] | int | None = subprocess.DEVNULL,
        until: int | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)  # whoever can connect can run anything
        self.folder = folder
        self.address = str(folder / "socket")
        # PYTHONPATH is the scripts' own, and is added to their sys.path.
        environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
        read, self.lifeline = os.pipe() if until is None else (os.pidfd_open(until), -1)
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                Path(self.address).unlink(missing_ok=True)
                listener.bind(self.address)
                listener.listen(BACKLOG)
                self.process = subprocess.Popen(
                    [sys.executable, *flags, str(SERVER), str(listener.fileno()), str(read), *modules],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(listener.fileno(), read),
                    start_new_session=True,  # Ctrl-C is not for it
                )
        except BaseException:
            self.release()
            raise
        finally:
            os.close(read)

    @property
    def stand_in(self) -> dict[str, str]:
        """The environment in which PYTHON takes the place of this interpreter."""
        return {SOCKET: self.address, INTERPRETER: sys.executable}

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def release(self) -> None:
        """Let go of the lifeline; whoever has inherited it keeps the process alive."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1

    def stop(self) -> None:
        """End it and what it runs."""
        self.process.terminate()  # even while it imports; the system kills what it runs
        self.release()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
