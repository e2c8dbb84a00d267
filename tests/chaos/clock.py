"""A clock that jumps: libfaketime, which the server's processes load first, and the file that it reads the offset from.

The machine's own clock stays as it is, and so does the monotonic one, as when a clock is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

DAY = 86_400
CACHED = 1  # seconds for which a process goes on with the offset that it has read


def library() -> Path | None:
    """It comes compiled in a package, which not every machine can have."""
    found = find_spec("libfaketime")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return path if path.is_file() else None


class Clock:
    """Of processes that are started with `variables`. file: for the offset."""

    def __init__(self, library: Path, file: Path) -> None:
        self.file = file
        self.variables = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": str(CACHED),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it, Java's first timed wait never ends
            "NO_FAKE_STAT": "1",
        }
        self.set(0)

    def set(self, seconds: int) -> None:
        """seconds: from the machine's clock."""
        partial = self.file.with_suffix(".partial")
        partial.write_text(f"{seconds:+d}\n")
        partial.replace(self.file)

    def offset(self) -> float:
        """As a process has it that is started now, in seconds."""
        command = [sys.executable, "-c", "import time; print(time.time())"]
        environment = {**os.environ, **self.variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return float(done.stdout) - time.time()
