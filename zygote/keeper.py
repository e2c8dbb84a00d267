"""The process that TorchServe starts as its worker: it keeps the real one, and replaces it unnoticed.

A worker that has died, or was ended because it takes too long over one request or holds too much memory, leaves its
connection to TorchServe and its batch here. Whatever it was sending is sent to the end, and another worker
(successor.py) takes over both: the request to blame is answered with an error, the others of the batch are computed.
If there is no time for that, or the worker does not run one of our handlers, everything ends, and TorchServe does what
it would do without a keeper: it fails the batch and starts another worker.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence

from zygote import death_record
from zygote.archive_manifest import served
from zygote.batch import LOOK, SLACK, Batch, Worker
from zygote.client import Job, Unreachable
from zygote.death import MOST_NAMED, Death, Verdict, end_of
from zygote.shared_file import FOLDER
from zygote.shared_outgoing import SharedOutgoing
from zygote.shared_progress import ANSWERING, WAITING, WORKING, SharedProgress, Words
from zygote.usage import memory_kills, processor_time, resident

SEVERAL = -1
PLAN = "ZYGOTE_PLAN"
SUCCESSOR = os.path.join(os.path.dirname(__file__), "successor.py")  # noqa: PTH118, PTH120 - pathlib takes longer

BUSY = 0.5  # share of that time spent computing: the request is to blame, rather than a worker stopped or locked
LONGEST_LOAD = 600.0  # seconds for a successor that has no batch to answer
MOST, WITHIN = 10, 60.0  # replacements in so many seconds; beyond that TorchServe restarts workers, with its pauses
KEPT, SPARE = 1.5, 256 << 20  # memory an idle worker may hold: so many times what it loaded, plus so many bytes
IDLE, RARELY = 10.0, 600.0  # seconds without a batch before such a replacement, and between two of them
MISSING, ASKING = 10.0, 0.1  # seconds the supervisor may take to start another warm process; between two attempts
COLLECTED = 1.0  # seconds beyond the batch's delay after which TorchServe is almost certainly collecting nothing
LEFT = 1  # exit status; for 137, that of a killed process, TorchServe says that a request was too large

Unit = tuple[int, int, int]  # batch, index of the request or SEVERAL, work or call


class Keeper:
    """Keeps the worker that `arguments` start, in the form that `Job` takes. Raises Unreachable if it cannot start."""

    def __init__(self, address: str, arguments: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
        self.address, self.arguments, self.folder, self.environment = address, arguments, folder, dict(environment)
        self.records = self.environment.get(FOLDER, "")
        self.progress, self.outgoing = SharedProgress(), SharedOutgoing()
        self.connection: socket.socket | None = None  # TorchServe's
        self.delay = 0.0  # seconds for which it collects a batch
        self.worker: Worker | None = None
        self.model = ""  # as it was registered
        self.batch = Batch(0, 0.0, 0.0, 0.0)
        self.units: dict[Unit, tuple[float, float]] = {}  # since when, and the worker's processor time then
        self.guilty: Unit | None = None  # the reason why the worker was ended
        self.verdict: tuple[Verdict, str] | None = None  # with which it was
        self.replaced: list[float] = []
        self.idle = self.looked = self.started = time.monotonic()
        self.recycled = -RARELY
        self.kills = memory_kills()  # when the worker was last seen at work
        self.job, self.control = self.start(arguments)

    def start(self, arguments: Sequence[str], *more: int, **environment: str) -> tuple[Job, socket.socket]:
        control, theirs = socket.socketpair()
        control.settimeout(0)
        with theirs:
            files = (0, 1, 2, self.progress.file, theirs.fileno(), self.outgoing.file, *more)
            return Job(self.address, arguments, self.folder, {**self.environment, **environment}, files), control

    def run(self) -> int:
        """The exit status for TorchServe."""
        while True:
            try:
                status: int | None = self.job.wait(LOOK)
            except TimeoutError:
                status = self.look()
            else:
                self.hear()
            if status == 0:
                return 0
            if status is not None and not self.replace(status):
                return LEFT

    def hear(self) -> Worker | None:
        """The worker, once it has loaded its model and handed over its connection."""
        try:
            said, files, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        except BlockingIOError:
            return self.worker
        if files:
            if self.connection is not None:
                self.connection.close()
            self.connection = socket.socket(fileno=files[0])
            told = json.loads(said)
            self.model = told["load"]["modelName"]
            self.delay = told.pop("delay_s")
            self.idle, self.kills = time.monotonic(), memory_kills()
            self.worker = Worker(**told, load_s=self.idle - self.started)
        return self.worker

    def look(self) -> int | None:
        """Look at the worker; its exit status if it had to be ended."""
        now = time.monotonic()
        late = now - self.looked - LOOK
        self.looked = now
        if late > LOOK:  # this process was suspended, and perhaps the others too
            self.units = {unit: (since + late, used) for unit, (since, used) in self.units.items()}
        worker = self.hear()
        if worker is None:
            successor = self.connection is not None  # TorchServe waits for the first one
            if not successor or now - self.started < LONGEST_LOAD:
                return None
            self.verdict = Verdict.STARTUP, f"not loaded within {LONGEST_LOAD:g} s"
            return self.job.end()
        words = self.progress.read()
        if words.phase == WAITING and not words.filled:
            self.units = {}
            return self.look_at_memory(worker, now)
        self.idle = now
        if words.batch != self.batch.number:
            self.batch, self.kills = Batch.start(words.batch, now, worker), memory_kills()
        at_work = words.phase == WORKING and self.outgoing.read().answers != words.batch
        return self.look_at_work(worker, now, words) if at_work else None

    def look_at_work(self, worker: Worker, now: float, words: Words) -> int | None:
        batch = self.batch
        under_way: set[Unit] = {(batch.number, *one) for one in self.progress.under_way(words.requests)}
        if words.call or not under_way:  # or the batch is between two pieces of work
            under_way.add((batch.number, SEVERAL, words.call))
        used = processor_time(worker.pid)
        self.units = {unit: self.units.get(unit, (now, used)) for unit in under_way}
        for unit, (since, before) in self.units.items():
            taken, index = now - since, unit[1]
            budget = batch.several if index == SEVERAL else batch.budget
            if taken > budget + SLACK * budget + LOOK:
                self.guilty = unit
                busy = used - before > BUSY * taken
                if index != SEVERAL and busy:
                    batch.plan["verdicts"][index] = "slow" if budget == worker.request_s else "left"
                at = f"{words.requests} requests" if index == SEVERAL else f"request {index} of {words.requests}"
                self.verdict = Verdict.HUNG, f"{taken:.1f} s {'busy with' if busy else 'without progress on'} {at}"
                return self.job.end()
        return None

    def look_at_memory(self, worker: Worker, now: float) -> int | None:
        """End a worker that is idle and holds far more memory than after loading; its exit status if so."""
        if now - self.idle < IDLE or now - self.recycled < RARELY:
            return None
        held = resident(worker.pid)
        if held < KEPT * worker.memory + SPARE:
            return None
        os.kill(worker.pid, signal.SIGSTOP)
        if self.progress.read().filled:  # a request has arrived in the meantime
            os.kill(worker.pid, signal.SIGCONT)
            return None
        self.verdict = Verdict.KEPT_MEMORY, f"idle with {held >> 20} MiB, {worker.memory >> 20} after loading its model"
        self.recycled = now
        return self.job.end()

    def replace(self, status: int) -> bool:
        """Report the death of a worker and start a successor; returns whether there is one."""
        now, words, worker = time.monotonic(), self.settle(), self.worker
        verdict, detail = self.verdict or end_of(status, memory_kills() > self.kills)
        suspects = self.suspects(words)
        named = suspects or range(min(words.requests, MOST_NAMED))
        model, version = served(self.folder)
        death = Death(
            verdict if worker else Verdict.STARTUP,
            self.model or model,
            worker.pid if worker else 0,
            detail,
            tuple(self.progress.held(named)),
            words.requests,
            version,
        )
        planned = worker is not None and words.phase != ANSWERING and self.plan(now, words, worker, suspects)
        if worker and len(suspects) == len(self.progress.under_way(words.requests)) == 1:
            death_record.blame(self.records, death, self.batch.blame(suspects[0], planned))  # before another answers
        taken_over = planned and worker is not None and self.succeed(now, words, worker)
        death_record.report(self.records, death._replace(lost=0) if taken_over else death)
        if not taken_over:
            self.leave(idle=words.phase == WAITING and not words.filled)
        self.guilty = self.verdict = None
        return taken_over

    def settle(self) -> Words:
        """Send the rest of what the worker was sending; returns how far the batch is, which that may have answered."""
        words, frame = self.progress.read(), self.outgoing.read()
        if self.connection is not None and not self.outgoing.complete(self.connection):
            self.connection = None  # TorchServe has gone
        if words.phase != WAITING and frame.length and frame.answers == words.batch:
            self.progress.empty(words)
        return self.progress.read()

    def plan(self, now: float, words: Words, worker: Worker, suspects: Sequence[int]) -> bool:
        """Decide how a successor treats the batch; False if there is no time left, or no successor may be started."""
        self.replaced = [at for at in self.replaced if now - at < WITHIN]
        if words.batch != self.batch.number or words.phase == WAITING:
            self.batch = Batch.start(words.batch, now, worker)
        if self.connection is None or len(self.replaced) >= MOST:
            return False
        if words.phase != WORKING:
            return True
        return self.batch.retry(now, worker, words.requests, suspects, self.progress.sent(words.requests))

    def suspects(self, words: Words) -> list[int]:
        """The requests that the worker was working on one at a time when it ended, or that it was ended for."""
        at = [index for index, _ in self.progress.under_way(words.requests)]
        return [index for index in at if not self.guilty or self.guilty[1] in (index, SEVERAL)]

    def succeed(self, now: float, words: Words, worker: Worker) -> bool:
        """Start a successor, which continues the batch as planned; returns whether it could be started."""
        if self.connection is None:
            return False
        self.replaced.append(now)
        self.progress.go_back(words)
        self.units, self.worker, self.started = {}, None, now
        self.control.close()
        plan = json.dumps({**self.batch.plan, "load": worker.load})
        arguments = [SUCCESSOR, *self.arguments[1:]]
        while True:
            try:
                self.job, self.control = self.start(arguments, self.connection.fileno(), **{PLAN: plan})
            except Unreachable as error:
                if time.monotonic() - now > MISSING:
                    print(f"zygote: there is no successor: {error}", file=sys.stderr, flush=True)
                    return False
                time.sleep(ASKING)
            else:
                return True

    def leave(self, idle: bool) -> None:
        """Close TorchServe's connection.

        At that moment TorchServe forgets the requests that it is collecting for an idle worker, and their callers would
        wait forever. So it gets time to write them first; then it fails them as it does a dead worker's.
        """
        if self.connection is None:
            return
        if idle:
            select.select([self.connection], [], [], COLLECTED + self.delay)
        self.connection.close()
