"""Outcomes of calls by request id, in a file of the run folder with one line of JSON per outcome."""

from __future__ import annotations

import fcntl
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from deploy.errors import DeployError
from deploy.versions.rollout.calls import Call

FOLDER = "feedback"  # in the run folder
WORDS = {"success": 1.0, "failure": 0.0, "true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Outcome:
    """value: from 0 (worst) to 1 (best). shares: the probability of each version when the call was assigned."""

    id: str
    version: str
    shares: Mapping[str, float]
    value: float

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        return cls(str(values["id"]), str(values["version"]), dict(values["shares"]), float(values["value"]))


def value_of(text: object) -> float:
    """Parse "success", "failure", true, false, or a number from 0 to 1. Raises DeployError."""
    try:
        value = WORDS.get(str(text).lower())
        value = float(str(text)) if value is None else value
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DeployError(f"outcome: got {str(text)[:40]!r}, wanted success, failure, or a number from 0 to 1")
    return value


def reported(lines: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Parse JSON lines with "request_id" and "outcome". Raises DeployError, which names the first invalid line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            yield str(values["request_id"]), value_of(values["outcome"])
        except (ValueError, KeyError, TypeError):
            raise DeployError(f'line {number}: wanted {{"request_id": …, "outcome": …}}') from None
        except DeployError as error:
            raise DeployError(f"line {number}: {error}") from None


def logged(logs: Iterable[Path], model: str, wanted: set[str]) -> dict[str, Call]:
    """Find the calls with these ids whose version was chosen at random. An edge keeps its last 10 to 20 MB of log."""
    found: dict[str, Call] = {}
    for log in logs:
        for path in (log.with_name(f"{log.stem}.1{log.suffix}"), log):
            if not path.is_file():
                continue
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    call = Call.read(line)
                    if call and call.model == model and call.id in wanted and call.shares:
                        found[call.id] = call
    return found


class OutcomeFile:
    """The outcomes of one model. A request counts once: later outcomes of it are ignored."""

    def __init__(self, run: Path, model: str) -> None:
        self.path = run / FOLDER / f"{model}.jsonl"

    def read(self) -> list[Outcome]:
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8") as file:
            return [Outcome.read(json.loads(line)) for line in file]

    def add(self, outcomes: Iterable[Outcome]) -> int:
        """Append the outcomes and return how many were new."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known, added = {each.id for each in self.read()}, 0
            for outcome in outcomes:
                if outcome.id not in known:
                    file.write(json.dumps(asdict(outcome)) + "\n")
                    known.add(outcome.id)
                    added += 1
        return added
