"""Lines about a model in the logs of a server on this machine."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.errors import DeployError

WORKERS, EDGE = "models.log", "edge.log"
POLL = 0.5  # seconds
Wanted = Callable[[str], bool]


def of_workers(model: str, version: str | None) -> Wanted:
    """Select lines of a model's workers: TorchServe names their threads W-PORT-MODEL_VERSION."""
    end = rf"{re.escape(version)}(?=[ -])" if version else r"[\w.-]+ "
    return lambda line: re.search(rf" W-\d+-{re.escape(model)}_{end}", line) is not None


def of_edge(model: str, version: str | None) -> Wanted:
    """Select calls of a model. With a version: calls that were assigned to it or named it."""

    def wanted(line: str) -> bool:
        try:
            call = json.loads(line)
        except ValueError:
            return False
        return isinstance(call, dict) and call.get("model") == model and version in (None, call.get("version"))

    return wanted


def last(log: Path, wanted: Wanted, number: int) -> list[str]:
    """The last `number` matching lines. Raises DeployError if the log is missing."""
    if not log.is_file():
        raise DeployError(f"{log} does not exist")
    with log.open(encoding="utf-8", errors="replace") as file:
        return list(deque((line.rstrip("\n") for line in file if wanted(line)), number))


def following(log: Path, wanted: Wanted) -> Iterator[str]:
    """Yield new lines as they are written, without end, also after the log is rotated or truncated."""
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(0, 2)
        position, part = file.tell(), ""
        while True:
            part += file.readline()
            if part.endswith("\n"):
                position = file.tell()
                if wanted(part):
                    yield part.rstrip("\n")
                part = ""
                continue
            time.sleep(POLL)
            state = log.stat() if log.exists() else None
            if state and (state.st_ino != Path(f"/dev/fd/{file.fileno()}").stat().st_ino or state.st_size < position):
                break
    yield from following(log, wanted)
