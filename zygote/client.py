"""Runs a Python script as a fork of the warm process, and waits for it."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence

LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
KILLED = -9
# The warm process may still be importing.
PATIENCE = 60.0  # seconds
# In the environment of a program that stands in for an interpreter: where the warm process takes jobs, and the
# interpreter.
SOCKET, INTERPRETER = "ZYGOTE_SOCKET", "ZYGOTE_PYTHON"
# A JSON object of the variables that differ between the script and its starter; null removes one.
VARIABLES = "ZYGOTE_VARIABLES"


class Unreachable(Exception):
    """There is no warm process, or it did not start the script."""


class Job:
    """A running script. files: its standard files, then more as server.py describes. preload: what is imported first.

    The script ends with this process at the latest. Raises Unreachable.
    """

    def __init__(
        self,
        address: str,
        arguments: Sequence[str],
        folder: str,
        environment: Mapping[str, str],
        files: Sequence[int] = (0, 1, 2),
        preload: Sequence[str] = (),
    ) -> None:
        request = {
            "arguments": list(arguments),
            "folder": folder,
            "environment": dict(environment),
            "preload": list(preload),
        }
        body = json.dumps(request).encode()
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE)
        try:
            self.connection.connect(address)
            socket.send_fds(self.connection, [LENGTH.pack(len(body))], files)
            self.connection.sendall(body)
            started = self.connection.recv(1)
        except OSError as error:
            self.connection.close()
            raise Unreachable(f"no warm process: {error}") from None
        if not started:
            self.connection.close()
            raise Unreachable("the warm process did not start it")

    def wait(self, timeout: float | None = None) -> int:
        """The exit status once the script has ended, negative for a signal; TimeoutError after `timeout` seconds."""
        self.connection.settimeout(timeout)
        try:
            status = self.connection.recv(STATUS.size)
        except ConnectionError:
            status = b""
        # The warm process died, and with it the script.
        return int(STATUS.unpack(status)[0]) if len(status) == STATUS.size else KILLED

    def end(self) -> int:
        """End the script if it still runs and wait for that; returns its exit status unless `wait` has returned it."""
        with self.connection:
            try:
                self.connection.shutdown(socket.SHUT_WR)
            except OSError:  # closed at the other end, as it is when the script has ended
                return KILLED
            return self.wait()
