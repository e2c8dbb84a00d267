"""The server's processes, killed or stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress

import psutil

from deploy.processes import alive
from deploy.run_folder import running, state_of
from tests.chaos.report import Phase
from tests.chaos.target import Target

MODEL = "tiny-policy"  # whose worker it is
Find = Callable[[Target], psutil.Process | None]


def worker(target: Target) -> psutil.Process | None:
    pids = target.workers(MODEL)
    return psutil.Process(pids[0]) if pids else None


def keeper(target: Target) -> psutil.Process | None:
    """The process beside a worker, of whichever model, which TorchServe takes for it."""
    process = java(target)
    return next(iter(process.children()), None) if process else None


def zygote(target: Target) -> psutil.Process | None:
    """The warm process, of which workers are forks."""
    return alive((state_of(target.run) or {}).get("zygote"))


def java(target: Target) -> psutil.Process | None:
    return running(target.run)


def edge_keeper(target: Target) -> psutil.Process | None:
    """The process that starts Envoy and tells it whether the server is ready."""
    return alive((state_of(target.run) or {}).get("edge"))


def envoy(target: Target) -> psutil.Process | None:
    keeper = edge_keeper(target)
    return next(iter(keeper.children()), None) if keeper else None


def signalled(find: Find, number: signal.Signals) -> Callable[[Target, Phase, float], None]:
    """A fault that sends a process a signal; after SIGSTOP nobody here makes it go on."""

    def send(target: Target, phase: Phase, deadline: float) -> None:
        process = find(target)
        if process is None:
            phase.note = "not run: there is no such process"
            return
        process.send_signal(number)
        if number == signal.SIGKILL:
            with suppress(psutil.TimeoutExpired):
                process.wait(10)

    return send
