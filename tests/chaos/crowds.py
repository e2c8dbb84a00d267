"""Many callers at once: more than a queue takes, slow ones, and ones that leave."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from client.stubs.inference_pb2 import PredictionsRequest
from tests.chaos.grpc_attack import Call, Caller
from tests.chaos.outcome import BUSY, Outcome
from tests.chaos.processes import MODEL
from tests.chaos.report import Finding, Phase
from tests.chaos.target import Target
from tests.chaos.wire import Line, Wire, pieces, request

OBSERVATION = b'{"data": [0.1, 0.2, 0.3, 0.4]}'
CROWD = 300  # callers at once; a queue takes 100
STOPPED = 4.0  # seconds for which a queue fills
SLOW_CALLERS = 40
LEAVING = (0.001, 0.01, 0.05)  # seconds after which a caller over gRPC gives up


def overflow(target: Target, phase: Phase, deadline: float) -> None:
    """More callers than a model's queue takes, while its worker stands still: each is answered or refused, in form."""
    pid = target.workers(MODEL)[0]
    line = Line(target.server, target.key)
    wire = Wire(MODEL, "crowd", (request(f"/predictions/{MODEL}", "application/json", OBSERVATION),))
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(CROWD) as pool:
            asked = [pool.submit(line.send, wire, deadline) for _ in range(CROWD)]
            time.sleep(STOPPED)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            for answer in asked:
                count_refusal(phase, answer.result())
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    if not phase.answers["refused"]:
        phase.add(Finding(f"{CROWD} callers at once and none was refused: the queue has no end"))


def count_refusal(phase: Phase, outcome: Outcome) -> None:
    if outcome.code not in BUSY:
        count(phase, [outcome], "a caller in a full queue")
        return
    phase.requests += 1
    phase.answers["refused"] += 1
    if not outcome.retry_after:
        phase.add(Finding(f"refused with {outcome.code} without Retry-After", {"body": outcome.body[:500]}))


def count(phase: Phase, outcomes: Iterable[Outcome], who: str, refused: Collection[int] = ()) -> None:
    """Where the caller did not leave, anything but an answer is a fault. refused: codes that it may get besides."""
    for outcome in outcomes:
        phase.requests += 1
        phase.answers["refused" if outcome.code in refused else outcome.kind] += 1
        if outcome.code != 200 and outcome.code not in refused and not outcome.left:
            phase.add(Finding(f"{who} got {outcome.code or outcome.kind}", {"body": outcome.body[:500]}))


def slow_callers(target: Target, phase: Phase, deadline: float) -> None:
    """Whole requests a few bytes at a time: they are answered, and nobody waits for them."""
    line = Line(target.server, target.key)
    whole = request(f"/predictions/{MODEL}", "application/json", OBSERVATION)
    wire = Wire(MODEL, "slow", pieces(whole, range(8, len(whole), 8)), pause=0.15)
    with ThreadPoolExecutor(SLOW_CALLERS) as pool:
        count(phase, pool.map(lambda _: line.send(wire, deadline), range(SLOW_CALLERS)), "a slow caller")


def leaving_callers(target: Target, phase: Phase, deadline: float) -> None:
    """Callers that go in the middle of a request or before its answer, over REST; before the answer, over gRPC."""
    line, chance = Line(target.server, target.key), random.Random(0)
    whole = request(f"/predictions/{MODEL}", "application/json", OBSERVATION)
    ends = [chance.choice((len(whole), chance.randrange(1, len(whole)))) for _ in range(CROWD)]
    wires = [Wire(MODEL, "leaving", (whole[:end],), complete=False, leaves=True) for end in ends]
    entries = {"body": OBSERVATION, "content-type": b"application/json"}
    message = PredictionsRequest(model_name=MODEL, input=entries).SerializeToString()
    calls = [Call(MODEL, "leaving", method, (message,)) for method in ("Predictions", "StreamPredictions")]
    caller = Caller(target.server, target.key)
    try:
        with ThreadPoolExecutor(SLOW_CALLERS) as pool:
            count(phase, pool.map(lambda wire: line.send(wire, deadline), wires), "a leaving caller")
            waits = [(chance.choice(calls), chance.choice(LEAVING)) for _ in range(CROWD)]
            # The others' requests are still in the queue, which may be full.
            count(phase, pool.map(lambda one: caller.leave(*one), waits), "a leaving caller over gRPC", refused=BUSY)
    finally:
        caller.close()
