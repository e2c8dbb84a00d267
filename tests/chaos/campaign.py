"""All phases, one after another, against one server with healthy neighbours in flight."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar

from hypothesis.strategies import SearchStrategy

from client import ClientError
from deploy.errors import DeployError
from tests.chaos import grpc_attack, http_attack, parser_attack, rest_attack
from tests.chaos.faults import KILL_OF_JAVA, STEADY, Fault, inflict
from tests.chaos.grpc_attack import Call, Caller
from tests.chaos.inputs.generation import rounds
from tests.chaos.neighbours import Neighbours
from tests.chaos.outcome import Outcome, unwanted
from tests.chaos.report import Finding, Phase
from tests.chaos.target import Target
from tests.chaos.wire import Line, Wire, request

T = TypeVar("T", Wire, Call)
CALLERS = 8
QUEUED = 4  # rounds of requests a caller may have before it
SETTLING = 20.0  # seconds in which every model must answer after an attack
REPLACING = 60.0  # seconds in which a model that did not must answer with new workers
PIPELINES = 10
LAST = (("Connection", "close"),)  # of a pipeline
SHOWN = 1.0  # seconds between two lines of progress
MOST_KEPT = 200_000  # bytes of a request that a report keeps


class Campaign:
    """deadline: seconds for one answer. say: shows one line of progress. seed: of all that is generated.

    stopped: set by whoever wants it to end.
    """

    def __init__(
        self,
        target: Target,
        neighbours: Neighbours,
        seed: int,
        deadline: float,
        say: Callable[[str], None],
        stopped: Event | None = None,
    ) -> None:
        self.target, self.neighbours = target, neighbours
        self.seed, self.deadline, self.say = seed, deadline, say
        self.phases: list[Phase] = []
        self.seen, self.java_starts = len(target.seen), target.java_starts  # at the end of the last phase
        self.lock = Lock()
        self.stopped = stopped or Event()

    @contextmanager
    def phase(self, name: str, settles: bool = True) -> Iterator[Phase]:
        """One row: what happened while it lasted. settles: afterwards every model must answer."""
        phase, started = Phase(name), time.monotonic()
        self.phases.append(phase)
        phase.before = self.target.memory()
        expected, killed = self.target.expected, name == KILL_OF_JAVA
        try:
            yield phase
        finally:
            if settles and not self.stopped.is_set():
                self.settle(phase)
            self.target.look()
            after = self.neighbours.taken()
            phase.neighbours = after.counts
            for wrong in after.wrong:
                phase.add(Finding(f"a neighbour's answer: {wrong.what}", wrong.request))
            new, self.seen = len(self.target.seen) - self.seen, len(self.target.seen)
            phase.restarts += max(0, new - (self.target.expected - expected))
            self.target.expected = expected
            if not killed:
                phase.restarts += max(0, self.target.java_starts - self.java_starts)
            self.java_starts = self.target.java_starts
            phase.after = self.target.memory()
            phase.seconds = time.monotonic() - started
            phase.settle()

    def settle(self, phase: Phase) -> None:
        """Wait for the right answer of every model; where none comes, say so and help."""
        _, lost = self.neighbours.recovered(self.target.models, SETTLING)
        if not lost:
            return
        phase.add(Finding(f"{', '.join(lost)}: no right answer within {SETTLING:g} s after the attack"))
        with self.neighbours.permitting(frozenset({500, 503, 504})):
            try:
                for model in lost:
                    self.target.replace_workers(model)
                _, lost = self.neighbours.recovered(lost, REPLACING)
                if lost:
                    phase.add(Finding(f"{', '.join(lost)}: new workers did not help; the server is started again"))
                    self.target.start_again()
                    self.neighbours.recovered(self.target.models, REPLACING, STEADY)
            except (ClientError, DeployError) as error:
                phase.add(Finding(f"the server could not be brought back: {error}"))

    def attack(
        self, phase: Phase, strategy: SearchStrategy[T], send: Callable[[T, float], Outcome], seconds: float
    ) -> None:
        """Send generated requests from several callers at once, for some seconds; each answer is judged."""
        end, number = 0.0, len(self.phases)
        pending: list[Future[None]] = []
        with ThreadPoolExecutor(CALLERS, "attack") as pool:
            for made in rounds(strategy, self.seed * 100 + number):
                end = end or time.monotonic() + seconds
                for one in made:
                    pending.append(pool.submit(self.judge, phase, one, send))
                    if len(pending) >= CALLERS * QUEUED:
                        self.progress(phase)
                        wait(pending[:CALLERS])
                        for done in pending[:CALLERS]:
                            done.result()
                        pending = pending[CALLERS:]
                    if time.monotonic() > end or self.stopped.is_set():
                        break
                if time.monotonic() > end or self.stopped.is_set():
                    break
            for left in pending:
                if self.stopped.is_set():
                    left.cancel()
                else:
                    left.result()

    def judge(self, phase: Phase, sent: T, send: Callable[[T, float], Outcome]) -> None:
        if self.stopped.is_set():
            return
        outcome = send(sent, self.deadline)
        must_answer = sent.complete if isinstance(sent, Wire) else sent.readable
        what = unwanted(outcome, must_answer)
        with self.lock:
            phase.requests += 1
            phase.answers[outcome.kind] += 1
            if what:
                phase.add(Finding(f"{sent.kind}: {what}", as_json(sent, outcome)))

    def progress(self, phase: Phase) -> None:
        self.say(f"{phase.name}: {phase.requests} requests, {sum(phase.times.values())} unwanted")

    def rest(self, seconds: float) -> None:
        with self.phase("REST") as phase:
            line = Line(self.target.server, self.target.key)
            self.attack(phase, rest_attack.strategy(self.target.models), line.send, seconds)

    def http(self, seconds: float) -> None:
        with self.phase("raw HTTP/1.1, HTTP/2") as phase:
            line = Line(self.target.server, self.target.key)
            self.attack(phase, http_attack.strategy(self.target.models), line.send, seconds)
            self.pipeline(phase, line)

    def pipeline(self, phase: Phase, line: Line) -> None:
        """Healthy requests of several models over one connection: answers, as far as there are any, in their order."""
        chance = random.Random(self.seed)
        for _ in range(PIPELINES):
            asked = chance.sample(self.neighbours.requests, 6)
            last = asked[-1]
            sent = [request(f"/predictions/{one.model}", *one.as_sent(), LAST * (one is last)) for one in asked]
            answers = line.pipeline(sent)
            phase.requests += len(asked)
            for one, (status, body) in zip(asked, answers, strict=False):
                phase.answers[f"{status // 100}xx"] += 1
                if status == 200 and not one.is_right_as_json(body):
                    phase.add(Finding("pipelined requests are answered in another order", {"model": one.model}))

    def grpc(self, seconds: float) -> None:
        with self.phase("gRPC") as phase:
            self.call(phase, grpc_attack.strategy(self.target.models), seconds)

    def streams(self, seconds: float) -> None:
        with self.phase("gRPC, two sequences") as phase:
            self.call(phase, grpc_attack.streams(self.target.models), seconds)

    def call(self, phase: Phase, strategy: SearchStrategy[Call], seconds: float) -> None:
        caller = Caller(self.target.server, self.target.key)
        try:
            self.attack(phase, strategy, caller.send, seconds)
        finally:
            caller.close()

    def parsers(self, folder: Path, seconds: float, by_coverage: bool = parser_attack.BY_COVERAGE) -> None:
        """All parsers for so many seconds together, two at a time, each in processes of its own."""
        ways = list(parser_attack.ways(by_coverage))
        each = 2 * seconds / len(ways)

        def one(way: tuple[str, str]) -> parser_attack.ParserRun:
            self.say(f"parsers: {way[0]} by {way[1]}")
            return parser_attack.attack(way[0], folder, each, self.seed, way[1], self.stopped.is_set)

        with self.phase("parsers") as phase, ThreadPoolExecutor(2) as pool:
            for (name, by), run in zip(ways, pool.map(one, ways), strict=True):
                phase.requests += run.inputs
                phase.answers["hung"] += run.hangs
                for what, data in run.findings:
                    phase.add(Finding(f"{name} by {by}: {what}", {"input": encoded(data)}))
            if not by_coverage:
                phase.note = "by strategies alone, without atheris"

    def fault(self, fault: Fault) -> None:
        self.say(fault.name)
        with self.phase(fault.name) as phase:
            inflict(fault, self.target, self.neighbours, phase, self.deadline)
        if phase.note.startswith("not run"):
            phase.seconds = 0.0

    def soak(self, seconds: float) -> None:
        """Healthy callers alone."""
        with self.phase("soak") as phase:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and not self.stopped.wait(min(SHOWN, left)):
                self.say(f"soak: {left:.0f} s left")
        phase.requests = phase.neighbours.total()

    @property
    def is_clean(self) -> bool:
        return not any(phase.findings for phase in self.phases)


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
