"""A way to serve a model on a GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from deploy.tuning.candidate import Candidate

QUEUE = 1024  # requests that may wait; with a spec's default of 100, as many at once as fill a GPU are refused
FORM = re.compile(r"(\d+)x(\d+)(?:x(\d+))?@(auto|cpu|gpu)")


@dataclass(frozen=True, order=True)
class Setting(Candidate):
    """`decode` is one of auto, cpu and gpu. threads: 0 for as many as the archive says."""

    @classmethod
    def parse(cls, text: str) -> Setting:
        """Batches of 32 and two workers from "32x2@gpu", of eight threads each from "32x2x8@gpu"; else a ValueError."""
        found = FORM.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r}; wanted BATCHxWORKERS@DECODE or BATCHxWORKERSxTHREADS@DECODE, as in 32x2@gpu")
        size, workers, threads = (int(number or 0) for number in found.group(1, 2, 3))
        return cls("torch", workers, threads, size, 2, found.group(4))

    def __str__(self) -> str:
        return f"batch {self.size}, {self.workers} workers x {self.threads or 'auto'} threads, decode {self.decode}"

    def configured(self, text: bytes, gpus: int) -> bytes:
        values = yaml.safe_load(super().configured(text, gpus))
        if not self.threads:
            values["handler"]["threads"] = yaml.safe_load(text)["handler"]["threads"]
        values["jobQueueSize"] = QUEUE
        return yaml.safe_dump(values, sort_keys=False).encode()
