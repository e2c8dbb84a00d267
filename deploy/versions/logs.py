"""Lines about a model in the logs of a server of this machine."""

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
    """Lines of a model's workers: TorchServe names the thread W-PORT-MODEL_VERSION."""
    end = rf"{re.escape(version)}(?=[ -])" if version else r"[\w.-]+ "
    return lambda line: re.search(rf" W-\d+-{re.escape(model)}_{end}", line) is not None


def of_edge(model: str, version: str | None) -> Wanted:
    """Lines of calls of a model; of a version those that it was drawn for, or that named it."""

    def wanted(line: str) -> bool:
        try:
            call = json.loads(line)
        except ValueError:
            return False
        return isinstance(call, dict) and call.get("model") == model and version in (None, call.get("version"))

    return wanted


def last(log: Path, wanted: Wanted, number: int) -> list[str]:
    """The last `number` lines that are wanted; DeployError where the log is missing."""
    if not log.is_file():
        raise DeployError(f"{log} does not exist")
    with log.open(encoding="utf-8", errors="replace") as file:
        return list(deque((line.rstrip("\n") for line in file if wanted(line)), number))


def following(log: Path, wanted: Wanted) -> Iterator[str]:
    """Lines as they come, for ever; of the next file, too, once the log has been rolled over or cut."""
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
