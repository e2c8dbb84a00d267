"""A batch, the worker that computes it, and how another worker treats what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

SHORTEST = 1.0  # seconds; with less time nothing is tried
LOOK = 0.5  # seconds between two looks
SLACK = 0.1  # of a request's time, on top of it: text generation stops by itself when its time is over


class Worker(NamedTuple):
    """A worker that has loaded its model. Times in seconds; load: what TorchServe told the first one; memory: bytes."""

    pid: int
    request_s: float
    response_s: float
    load: dict[str, Any]
    load_s: float
    memory: int

    @property
    def takes(self) -> float:
        """Seconds until a successor has loaded the model, with some reserve."""
        return 1.5 * self.load_s + 1


class Batch:
    """The current batch. since: when it was first seen.

    budget: seconds for one request; several: for a call with several, which leaves time to try them one by one.
    ended: how many workers ended on each request while they worked on it alone. plan: for a successor, as
    handlers/torchserve/progress.py takes it.
    """

    def __init__(self, number: int, since: float, budget: float, several: float) -> None:
        self.number, self.since, self.budget, self.several = number, since, budget, several
        self.ended: dict[int, int] = {}
        self.plan: dict[str, Any] = {"verdicts": {}, "others": None, "one_by_one": False}

    @classmethod
    def start(cls, number: int, now: float, worker: Worker) -> Batch:
        several = max(worker.request_s, (worker.response_s - worker.takes) / 3)
        return cls(number, now, worker.request_s, several)

    def retry(self, now: float, worker: Worker, requests: int, suspects: Sequence[int], sent: Sequence[int]) -> bool:
        """Plan how a successor treats the batch; False if there is no time for that.

        suspects: requests that the worker was working on one at a time. sent: those whose answers have begun.
        """
        left = worker.response_s - (now - self.since) - worker.takes
        if left < 0:
            return False
        # What one request may take so that, if it ends the successor too, yet another can answer the others.
        spare = (left - worker.takes - 2 * SHORTEST - 2 * LOOK) / (1 + SLACK)
        alone = len(suspects) == 1
        for index in suspects if alone else ():
            self.ended[index] = self.ended.get(index, 0) + 1
            if self.ended[index] > 1 or (requests > 1 and spare < SHORTEST):
                self.plan["verdicts"].setdefault(index, "died")
        for index in sent:
            self.plan["verdicts"].setdefault(index, "sent")
        self.plan["one_by_one"] |= not alone
        self.budget, self.several = min(worker.request_s, left / 2), left / 3
        if requests > 1 and (spare >= SHORTEST or not alone):
            self.budget = min(self.budget, max(spare, SHORTEST))
        if self.budget < SHORTEST:
            self.plan["others"] = "left"
        return True

    def blame(self, index: int, goes_on: bool) -> int:
        """How many workers a request has ended, if that is why its answer is an error.

        0 if it is tried again, or was given less than its full time. goes_on: whether the batch continues by `plan`.
        """
        verdict = self.plan["verdicts"].get(index)
        if goes_on:
            return self.ended[index] if verdict in ("died", "slow", "sent") else 0
        return self.ended.get(index, 0) + 1 if verdict != "left" else 0
