"""Calls of a model from an edge's log: which version answered, with which outcome, and how fast."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER_FAULTS = {"Unknown", "DeadlineExceeded", "Internal", "Unavailable", "DataLoss"}
ANSWERED = "via_upstream"  # by the server rather than the edge itself
LEFT = "DC"  # the caller disconnected


@dataclass(frozen=True)
class Call:
    """shares: the probability of each version when the call was assigned; empty if the caller named a version.

    failed: the server failed. refused: the model rejected a bad request.
    """

    id: str
    model: str
    version: str
    shares: Mapping[str, float]
    failed: bool
    refused: bool
    milliseconds: float

    @classmethod
    def read(cls, line: str) -> Call | None:
        """Parse a line; None if it is not a call, or if the caller disconnected."""
        try:
            values = json.loads(line)
        except ValueError:
            return None
        if not isinstance(values, dict) or not values.get("version") or LEFT in str(values.get("flags")).split(","):
            return None
        failed, refused = outcome(values)
        drawn = (each.rpartition("=") for each in str(values.get("shares") or "").split())
        shares = {version: float(share) for version, _, share in drawn}
        id, model, version = (str(values[name]) for name in ("request_id", "model", "version"))
        return cls(id, model, version, shares, failed, refused, float(values["milliseconds"]))


def outcome(values: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return (server failed, model refused the request). The edge's own refusals are neither."""
    answered, status, code = values.get("details") == ANSWERED, values.get("grpc_status"), int(values["code"])
    if status in (None, "-"):
        return code >= 500, answered and 400 <= code < 500
    failed = status in SERVER_FAULTS or (answered and status == "ResourceExhausted") or code >= 500
    return failed, answered and status != "OK" and not failed


class CallLog:
    """Reads what is written to a log from now on. The log is truncated now and then; unread lines are then lost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = path.stat().st_size if path.is_file() else 0
        self.part = b""

    def calls(self, model: str) -> Iterator[Call]:
        """Yield a model's calls since the previous invocation."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self.position:
                self.position, self.part = 0, b""
            file.seek(self.position)
            text = self.part + file.read()
            self.position = file.tell()
        *lines, self.part = text.split(b"\n")
        for line in lines:
            call = Call.read(line.decode("utf-8", "replace"))
            if call and call.model == model:
                yield call
