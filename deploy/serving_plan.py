"""Workers and batches of each model on this machine. TorchServe gives a model's workers the GPUs in turn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from client import GrpcManagement
from client.management import Management
from client.model_status import ModelStatus
from deploy.archive import Archive
from deploy.cgroup import cores, memory_left

# The least memory of a worker: Python, torch and the libraries a handler imports.
WORKER_BYTES = 600 * 2**20
# A graph's weights as ONNX Runtime lays them out, once for each number of threads that a worker runs it with.
COPIES_OF_GRAPH = 2
# Of the memory that is free; the rest is for requests and for other processes.
SHARE_OF_MEMORY = 0.5
# One worker decodes while another computes.
WORKERS_PER_GPU = 2
BATCH_ON_GPU = 16
# One of these is there where a driver is: NVIDIA's, Windows' for its Linux subsystem, AMD's.
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
# TorchServe's own, in requests and milliseconds, of an archive that names none.
BATCH_SIZE, BATCH_DELAY = 1, 100
# What TorchServe puts into a batch without a delay.
UNWAITED = 2


@dataclass(frozen=True)
class ServingPlan:
    """How one model is served. batch_size: most requests in a batch. delay_ms: the first of them waits for others."""

    workers: int
    batch_size: int
    delay_ms: int


@dataclass(frozen=True)
class Machine:
    """cores: those this process may use. gpus: those it sees. free: bytes of memory."""

    cores: int
    gpus: int
    free: int

    @classmethod
    def detect(cls) -> Machine:
        """This one, or the container's part of it."""
        free = min(psutil.virtual_memory().available, memory_left())
        return cls(cores(), gpus(), int(free))

    def plan(self, archive: Archive, models: int) -> ServingPlan:
        """Of one archive among `models`, as its card asks for it, or TorchServe's own settings where it has no card."""
        size = archive.path.stat().st_size
        if not archive.card:
            own = archive.settings
            workers = self.workers(own.get("minWorkers", "auto"), models, size)
            return ServingPlan(workers, own.get("batchSize", BATCH_SIZE), own.get("maxBatchDelay", BATCH_DELAY))
        batch_size, delay = self.batch(**archive.card["batch"])
        held = size * (COPIES_OF_GRAPH if archive.card.get("backend") == "onnxruntime" else 1)
        return ServingPlan(self.workers(archive.card["workers"], models, held), batch_size, delay)

    def workers(self, asked: int | str, models: int, size: int) -> int:
        """Workers of one model among `models`.

        asked: a number, for each GPU where there are any, or "auto". That is two on each GPU; on a CPU a core each,
        the cores divided among the models, as far as the memory goes. Two workers of one thread answer more than one
        worker of two threads. size: bytes of the model that a worker holds.
        """
        if asked != "auto":
            return int(asked) * max(1, self.gpus)
        if self.gpus:
            return WORKERS_PER_GPU * self.gpus
        fitting = int(SHARE_OF_MEMORY * self.free / (WORKER_BYTES + size) / models)
        return max(1, min(self.cores // models, fitting))

    def batch(self, size: int | str, delay_ms: int | str) -> tuple[int, int]:
        """(most requests in a batch, milliseconds that the first waits for others), of what a card asks for.

        On a CPU a batch is no faster than its items one after the other: it only spreads the server's cost, and a
        large one leaves the other workers nothing to do. TorchServe fills a batch of two from what waits and nobody
        waits for it; for a third it looks only where there is a delay.
        """
        most = (BATCH_ON_GPU if self.gpus else UNWAITED) if size == "auto" else int(size)
        return most, int(most > UNWAITED) if delay_ms == "auto" else int(delay_ms)


def gpus() -> int:
    """Those that torch sees; where no driver is loaded, torch is not asked, whose import takes seconds."""
    if not any(driver.exists() for driver in DRIVERS):
        return 0
    import torch

    return torch.cuda.device_count()


def register(management: Management, archive: Archive, plan: ServingPlan) -> None:
    """Register a model as planned and return; its workers load it meanwhile."""
    batch_size, delay = plan.batch_size, sent(management, plan.delay_ms)
    management.register(archive.path.name, batch_size=batch_size, max_batch_delay=delay, synchronous=False)
    management.scale(archive.name, plan.workers, version=archive.version, synchronous=False)


def register_again(management: Management, model: ModelStatus) -> None:
    """Register a version as it was and return; its workers load it meanwhile."""
    management.register(
        model.archive,
        name=model.name,
        batch_size=model.batch_size,
        max_batch_delay=sent(management, model.max_batch_delay),
        synchronous=False,
    )
    management.scale(model.name, model.min_workers, model.max_workers, version=model.version, synchronous=False)


def sent(management: Management, delay_ms: int) -> int:
    """A batch's delay as it can be sent: TorchServe's gRPC takes 0 for not given, which is 100 ms."""
    return max(1, delay_ms) if isinstance(management, GrpcManagement) else delay_ms
