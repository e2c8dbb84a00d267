"""Generated requests from several callers at once, for some seconds; each answer is judged."""

from __future__ import annotations

import base64
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event, Lock, Semaphore
from typing import Any, Generic, TypeVar

from tests.chaos.grpc_attack import Call
from tests.chaos.outcome import Outcome, unwanted
from tests.chaos.report import Finding, Phase
from tests.chaos.wire import Wire

T = TypeVar("T", Wire, Call)
QUEUED = 4  # rounds of requests a caller may have before it
MOST_KEPT = 200_000  # bytes of a request that a report keeps
# At once to one model: on a small machine a queue takes 16, and one that is full is a fault of its own (crowds.py).
TO_ONE_MODEL = 6


class Attack(Generic[T]):
    """phase: counts what came of it. send: one request and its deadline → the outcome. say: shows a line of progress.

    stopped: set by whoever wants it to end.
    """

    def __init__(
        self,
        phase: Phase,
        send: Callable[[T, float], Outcome],
        deadline: float,
        say: Callable[[str], None],
        stopped: Event,
    ) -> None:
        self.phase, self.deadline, self.say, self.stopped = phase, deadline, say, stopped
        self.send: Callable[[T, float], Outcome] = send
        self.lock = Lock()
        self.turns: defaultdict[str, Semaphore] = defaultdict(lambda: Semaphore(TO_ONE_MODEL))

    def run(self, requests: Iterator[T], seconds: float, callers: int) -> None:
        pending: list[Future[None]] = []
        with ThreadPoolExecutor(callers, "attack") as pool:
            one = next(requests)  # which takes a while
            end = time.monotonic() + seconds
            while time.monotonic() < end and not self.stopped.is_set():
                pending.append(pool.submit(self.judge, one))
                if len(pending) >= callers * QUEUED:
                    self.progress()
                    wait(pending[:callers])
                    for done in pending[:callers]:
                        done.result()
                    pending = pending[callers:]
                one = next(requests)
            for left in pending:
                if self.stopped.is_set():
                    left.cancel()
                else:
                    left.result()

    def judge(self, sent: T) -> None:
        if self.stopped.is_set():
            return
        with self.lock:
            turn = self.turns[sent.model]
        with turn:
            outcome = self.send(sent, self.deadline)
        must_answer = sent.complete if isinstance(sent, Wire) else sent.readable
        what = unwanted(outcome, must_answer)
        with self.lock:
            self.phase.requests += 1
            self.phase.answers[outcome.kind] += 1
            if what:
                self.phase.add(Finding(f"{sent.kind}: {what}", as_json(sent, outcome)))

    def progress(self) -> None:
        self.say(f"{self.phase.name}: {self.phase.requests} requests, {sum(self.phase.times.values())} unwanted")


def as_json(sent: Wire | Call, outcome: Outcome) -> dict[str, Any]:
    """The request as it went over the wire, and its answer; @KEY@ stands for the key."""
    pieces: Sequence[bytes] = sent.pieces if isinstance(sent, Wire) else sent.messages
    return {
        "protocol": "HTTP" if isinstance(sent, Wire) else f"gRPC {sent.method}",
        "model": sent.model,
        "kind": sent.kind,
        "pause": sent.pause if isinstance(sent, Wire) else 0.0,
        "sent": [encoded(piece) for piece in pieces],
        "code": outcome.code,
        "seconds": round(outcome.seconds, 2),
        "answer": outcome.body[:2000].decode("utf-8", "replace"),
    }


def encoded(data: bytes) -> str:
    """Base64, of a large one its beginning."""
    return base64.b64encode(data[:MOST_KEPT]).decode()
