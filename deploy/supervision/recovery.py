"""Workers that TorchServe takes for READY though they answer nothing: replaced, or made to go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from client import RestManagement
from client.model_status import ModelStatus, Worker
from deploy.supervision.record import Record

logger = logging.getLogger(__name__)
READY = "READY"
SCALING = 60.0  # seconds
GIVEN_UP = 180.0  # seconds without a process


def has_process(worker: Worker) -> bool:
    return worker.pid > 0 and psutil.pid_exists(worker.pid)


def is_gone(worker: Worker) -> bool:
    """Whether a worker that is said to be READY has no process.

    An exception inside TorchServe can end its own thread for a worker. It then starts no other, goes on saying READY,
    and what comes to the queue waits for ever; the worker's process has ended, because its connection was closed. A
    worker that dies in any other way is UNLOADING within milliseconds.
    """
    return worker.status == READY and worker.pid > 0 and not has_process(worker)


def is_stopped(worker: Worker) -> bool:
    """Whether a worker was stopped by a signal; TorchServe would wait for its answer until the response timeout."""
    try:
        return worker.pid > 0 and stands_still(psutil.Process(worker.pid))
    except psutil.NoSuchProcess:
        return False


def stands_still(process: psutil.Process) -> bool:
    """Whether a process was stopped by a signal."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def is_broken(model: ModelStatus) -> bool:
    """Whether a worker is lost, so that the model is not ready whatever TorchServe says."""
    return any(is_gone(worker) or is_stopped(worker) for worker in model.workers)


class Recovery:
    """Brings back workers that two looks in a row found lost, and those that TorchServe has given up.

    It starts a worker that dies again and again for five minutes, with pauses of up to 89 seconds, and then no more.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.suspects: set[int] = set()
        self.down: dict[str, float] = {}  # since when a worker, by its id, has had no process
        self.replaced: set[int] = set()  # whose end a late look may still report

    def look(self, management: RestManagement, models: Sequence[ModelStatus]) -> None:
        """One look at all models. Raises ClientError where TorchServe does not replace a worker."""
        suspects: set[int] = set()
        self.replaced &= {worker.pid for model in models for worker in model.workers}
        now = time.monotonic()
        self.down = {
            worker.id: self.down.get(worker.id, now)
            for model in models
            for worker in model.workers
            if worker.status != READY and not has_process(worker)
        }
        for model in models:
            lost = {worker.pid for worker in model.workers if is_gone(worker) or is_stopped(worker)} - self.replaced
            if lost & self.suspects or any(self.given_up(worker) for worker in model.workers):
                self.bring_back(management, model)
            else:
                suspects |= lost
        self.suspects = suspects

    def given_up(self, worker: Worker) -> bool:
        return worker.id in self.down and time.monotonic() - self.down[worker.id] > GIVEN_UP

    def bring_back(self, management: RestManagement, model: ModelStatus) -> None:
        for worker in model.workers:
            if is_stopped(worker):
                logger.warning("%s %s: worker %d was stopped by a signal", model.name, model.version, worker.pid)
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(worker.pid).resume()
        self.replaced |= {worker.pid for worker in model.workers if is_gone(worker)}
        gone = [index for index, worker in enumerate(model.workers) if is_gone(worker) or self.given_up(worker)]
        if gone:
            # TorchServe takes workers away from the end of its list, so those after the lost one go with it. What
            # waits in the queue stays there for their successors.
            logger.warning(
                "%s %s: TorchServe has lost worker %s, which it calls %s; %d of %d workers are replaced",
                *(model.name, model.version, model.workers[gone[0]].id, model.workers[gone[0]].status),
                *(len(model.workers) - gone[0], len(model.workers)),
            )
            version = model.version
            management.scale(model.name, gone[0], version=version, synchronous=False, timeout=SCALING)
            management.scale(
                model.name, model.min_workers, model.max_workers, version=version, synchronous=False, timeout=SCALING
            )
        self.record.add_recovery(model.name, model.version)
