"""All phases, one after another, against one server with healthy neighbours in flight."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from threading import Event
from typing import TypeVar

from client import ClientError
from deploy.errors import DeployError
from tests.chaos import clock, grpc_attack, http_attack, parser_attack, rest_attack
from tests.chaos.attack import Attack, encoded
from tests.chaos.faults import STEADY, Fault, inflict
from tests.chaos.grpc_attack import Call, Caller
from tests.chaos.inputs.generation import rounds
from tests.chaos.inputs.variants import varied, vary_bytes, vary_call, vary_request
from tests.chaos.neighbours import Neighbours
from tests.chaos.outcome import Outcome
from tests.chaos.report import Finding, Phase
from tests.chaos.target import Target
from tests.chaos.wire import Line, Wire, request
from zygote.process import Zygote

T = TypeVar("T", Wire, Call)
CALLERS = 24  # most of them wait: for a worker, or for the answer to what is hardly HTTP
SETTLING = 20.0  # seconds in which every model must answer after an attack
RETURNING = 60.0  # seconds in which memory that an attack took must be given back
REPLACING = 60.0  # seconds in which a model that did not must answer with new workers
PIPELINES = 10
LAST = (("Connection", "close"),)  # of a pipeline
JUMP = 10.0  # seconds for which a clock stays as it is
SHOWN = 1.0  # seconds between two lines of progress


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
        self.stopped = stopped or Event()

    @contextmanager
    def phase(self, name: str, ends_java: bool = False) -> Iterator[Phase]:
        """One row: what happened while it lasted; afterwards every model must answer."""
        phase, started = Phase(name), time.monotonic()
        self.phases.append(phase)
        phase.before = self.target.memory()
        expected = self.target.expected
        try:
            yield phase
        finally:
            if not self.stopped.is_set():
                self.settle(phase)
            self.target.look()
            after = self.neighbours.taken()
            phase.neighbours = after.counts
            for wrong in after.wrong:
                phase.add(Finding(f"a neighbour's answer: {wrong.what}", wrong.request))
            new, self.seen = len(self.target.seen) - self.seen, len(self.target.seen)
            phase.restarts += max(0, new - (self.target.expected - expected))
            self.target.expected = expected
            if not ends_java:
                phase.restarts += max(0, self.target.java_starts - self.java_starts)
            self.java_starts = self.target.java_starts
            phase.after = self.target.memory()
            until = time.monotonic() + RETURNING
            while phase.grown and time.monotonic() < until and not self.stopped.wait(1):
                phase.after = self.target.memory()
            phase.seconds = 0.0 if phase.note.startswith("not run") else time.monotonic() - started
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

    def attack(self, phase: Phase, send: Callable[[T, float], Outcome], requests: Iterator[T], seconds: float) -> None:
        Attack(phase, send, self.deadline, self.say, self.stopped).run(requests, seconds, CALLERS)

    @property
    def seed_here(self) -> int:
        """Another for each phase."""
        return self.seed * 100 + len(self.phases)

    def rest(self, seconds: float) -> None:
        with self.phase("REST") as phase:
            line = Line(self.target.server, self.target.key)
            drawn = rounds(rest_attack.strategy(self.target.models), self.seed_here)
            self.attack(phase, line.send, varied(drawn, self.seed_here, vary_request), seconds)

    def http(self, seconds: float) -> None:
        with self.phase("raw HTTP/1.1, HTTP/2") as phase:
            line = Line(self.target.server, self.target.key)
            drawn = rounds(http_attack.strategy(self.target.models), self.seed_here)
            self.attack(phase, line.send, varied(drawn, self.seed_here, vary_bytes), seconds)
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
            drawn = rounds(grpc_attack.strategy(self.target.models), self.seed_here)
            self.call(phase, varied(drawn, self.seed_here, vary_call), seconds)

    def streams(self, seconds: float) -> None:
        with self.phase("gRPC, two sequences") as phase:
            drawn = rounds(grpc_attack.streams(self.target.models), self.seed_here)
            self.call(phase, chain.from_iterable(drawn), seconds)

    def call(self, phase: Phase, calls: Iterator[Call], seconds: float) -> None:
        caller = Caller(self.target.server, self.target.key)
        try:
            self.attack(phase, caller.send, calls, seconds)
        finally:
            caller.close()

    def parsers(self, folder: Path, seconds: float, by_coverage: bool = parser_attack.BY_COVERAGE) -> None:
        """All parsers for so many seconds together, two at a time, each in processes of its own."""
        ways = list(parser_attack.ways(by_coverage))
        each = 2 * seconds / len(ways)

        with self.phase("parsers") as phase, ExitStack() as stack:
            warm = Zygote(folder / "zygote", parser_attack.MODULES, os.environ)
            stack.callback(warm.stop)

            def one(way: tuple[str, str]) -> parser_attack.ParserRun:
                self.say(f"parsers: {way[0]} by {way[1]}")
                return parser_attack.attack(way[0], folder, each, self.seed, way[1], warm, self.stopped.is_set)

            pool = stack.enter_context(ThreadPoolExecutor(2))
            for (name, by), run in zip(ways, pool.map(one, ways), strict=True):
                phase.requests += run.inputs
                phase.answers["hung"] += run.hangs
                for what, data in run.findings:
                    phase.add(Finding(f"{name} by {by}: {what}", {"input": encoded(data)}))
            if not by_coverage:
                phase.note = "by strategies alone, without atheris"

    def fault(self, fault: Fault) -> None:
        self.say(fault.name)
        with self.phase(fault.name, fault.ends_java) as phase:
            inflict(fault, self.target, self.neighbours, phase, self.deadline)

    def clock(self, folder: Path) -> None:
        """A server whose clock goes a day ahead, then a day behind, and is right again; nobody is to notice."""
        library = clock.library()
        with self.phase("a clock that jumps", ends_java=True) as phase:
            if library is None:
                phase.note = "not run: libfaketime is not installed"
                return
            shown = clock.Clock(library, folder / "clock")
            try:
                with self.neighbours.permitting(frozenset({500, 503, 504})):
                    self.target.start_again(shown)
                    self.neighbours.recovered(self.target.models, REPLACING, STEADY)
            except (ClientError, DeployError) as error:
                phase.add(Finding(f"the server did not start: {error}"))
                return
            for offset in (clock.DAY, -clock.DAY, 0):
                shown.set(offset)
                self.stopped.wait(JUMP)
                if abs(shown.offset() - offset) > JUMP:
                    phase.add(Finding("the clock did not jump"))

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
