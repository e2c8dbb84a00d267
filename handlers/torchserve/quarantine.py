"""Refuses inputs that have ended several workers of this model before they are read again.

The keepers of the model's workers write the list (zygote/quarantine.py). Between two batches a worker looks whether
its file has changed; it computes digests only of requests that are as long as an input on the list.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from handlers.errors import Quarantined
from handlers.protocol import trace_context
from handlers.protocol.request import HEADER_KEYS

FOLDER = "ZYGOTE_RECORDS"  # of the environment: the folder of the list
NAME = "quarantine.json"
DEATHS = 2
# Entries of a gRPC call that do not belong to the input.
BESIDE = frozenset((*HEADER_KEYS, *trace_context.NAMES, "stream"))


class Quarantine:
    """Of one version of a model. path: of the list; None where nobody writes one."""

    def __init__(self, path: str | None, model: str, version: str) -> None:
        self.path, self.model, self.version = path, model, version
        self.seen: tuple[int, int] | None = None  # the state of the file that was read
        self.until: dict[int, dict[str, float]] = {}  # by size and digest, in seconds since 1970

    @classmethod
    def of(cls, context: Any) -> Self:
        """context: TorchServe's."""
        folder = os.environ.get(FOLDER)
        path = os.path.join(folder, NAME) if folder else None  # noqa: PTH118 - a string is looked up sooner
        return cls(path, context.model_name, str(context.manifest["model"]["modelVersion"]))

    def find(self, batch: Sequence[Mapping[str, Any]]) -> dict[int, Quarantined]:
        """The errors of the refused requests, by index. batch: as handlers/torchserve/frame_reader.py returns it."""
        if self.path is None:
            return {}
        try:
            state = os.stat(self.path)  # noqa: PTH116 - for every batch
        except FileNotFoundError:
            return {}
        if (state.st_ino, state.st_mtime_ns) != self.seen:
            self.read(self.path)
            self.seen = (state.st_ino, state.st_mtime_ns)
        return self.refused(batch) if self.until else {}

    def read(self, path: str) -> None:
        self.until = {}
        for each in json.loads(Path(path).read_bytes()).get("inputs", ()):
            if (each["model"], each["version"]) == (self.model, self.version) and each["deaths"] >= DEATHS:
                self.until.setdefault(each["bytes"], {})[each["sha256"]] = each["until"]

    def refused(self, batch: Sequence[Mapping[str, Any]]) -> dict[int, Quarantined]:
        found, now = {}, time.time()
        for index, request in enumerate(batch):
            values = input_of(request["parameters"])
            listed = self.until.get(sum(map(len, values)))
            if listed:
                digest = digest_of(values)
                if listed.get(digest, 0.0) > now:
                    found[index] = error(digest, listed[digest])
        return found


def input_of(parameters: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The values of a request's parts in the order of their names: the same over REST and gRPC.

    The last part of a name that was sent several times has the list of all its values.
    """
    parts = {part["name"]: part["value"] for part in parameters if part["name"] not in BESIDE}
    found: list[bytes] = []
    for name in sorted(parts):
        found += parts[name] if isinstance(parts[name], list) else [parts[name]]
    return found


def digest_of(values: Sequence[bytes]) -> str:
    digest = sha256()
    for value in values:
        digest.update(value)
    return digest.hexdigest()


def error(digest: str, until: float) -> Quarantined:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(until))
    return Quarantined(
        f"this input (SHA-256 {digest[:16]}…) has ended {DEATHS} or more workers of the model and is refused until "
        f"{when}; send another, or ask the operator to look for it in the model's log and to lift that with "
        "`bundle deploy quarantine clear`"
    )
