"""How long each stage of a batch takes."""

from __future__ import annotations

from time import perf_counter


class StageTimer:
    """Times the stages of one batch: `end("DecodeTime")` ends the stage that is under way."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = perf_counter()

    def end(self, stage: str) -> None:
        """The time since the last stage ended belongs to `stage`."""
        now = perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now
