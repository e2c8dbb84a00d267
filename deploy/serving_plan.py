"""Workers and batches of each model on this machine. TorchServe gives a model's workers the GPUs in turn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from importlib.util import find_spec

import psutil

from client import GrpcManagement
from client.explanations import explainer_of
from client.management import Management
from client.model_status import ModelStatus
from deploy.archive import Archive
from deploy.cgroup import cores, memory_left
from deploy.errors import DeployError
from deploy.gpu.detect import usable

# The least memory of a worker: Python, torch and the libraries a handler imports.
WORKER_BYTES = 600 * 2**20
# A graph's weights as ONNX Runtime lays them out, once for each number of threads that a worker runs it with.
COPIES_OF_GRAPH = 2
# Of one on a GPU beside that: CUDA's libraries and its side of the context.
CONTEXT_BYTES = 2**30
# Of the memory that is free; the rest is for requests and for other processes.
SHARE_OF_MEMORY = 0.5
# One worker decodes while another computes.
WORKERS_PER_GPU = 2
# What a worker takes of a GPU's memory, about: its context and its kernels' working space, and for each byte of the
# archive its weights, the copy rounded to 16 bits that is compared with them, and what batches and graphs hold.
GPU_WORKER_BYTES, PER_ARCHIVE_BYTE = 2**30, 3
BATCH_ON_GPU = 16
# TorchServe's own, in requests and milliseconds, of an archive that names none.
BATCH_SIZE, BATCH_DELAY = 1, 100
# What TorchServe puts into a batch without a delay.
UNWAITED = 2
# Of --explain, for every model that has explanations.
ALL = "all"


@dataclass(frozen=True)
class ServingPlan:
    """How one model is served. batch_size: most requests in a batch. delay_ms: the first of them waits for others.

    gpu: whether its workers compute on GPUs.
    """

    workers: int
    batch_size: int
    delay_ms: int
    gpu: bool = False


@dataclass(frozen=True)
class Machine:
    """cores: those this process may use. gpus: those that workers compute on. free: bytes of memory.

    gpu_free: bytes of memory on the GPU that has least.
    """

    cores: int
    gpus: int
    free: int
    gpu_free: int = 0

    @classmethod
    def detect(cls) -> Machine:
        """This one, or the container's part of it. Raises DeployError for a GPU that torch cannot use."""
        free = int(min(psutil.virtual_memory().available, memory_left()))
        devices = usable()
        # A GPU that reports no memory of its own shares the machine's.
        gpu_free = min((free if device.free is None else device.free for device in devices), default=0)
        return cls(cores(), len(devices), free, gpu_free)

    def serving(self, archive: Archive) -> Machine:
        """As the workers of an archive have it: without GPUs where it is for the CPU.

        Raises DeployError where it is for GPUs alone and there are none.
        """
        if archive.device == "gpu" and not self.gpus:
            raise DeployError(f"{archive.path.name} is to be served on a GPU alone (`device: gpu`), and there is none")
        return replace(self, gpus=0, gpu_free=0) if archive.device == "cpu" else self

    def plan(self, archive: Archive, models: int) -> ServingPlan:
        """Of one archive among `models`, as its card asks for it, or TorchServe's own settings where it has no card.

        Raises DeployError, as `serving` does.
        """
        own = self.serving(archive)
        size = archive.path.stat().st_size
        on_gpu = own.gpus > 0
        if not archive.card:
            settings = archive.settings
            workers = own.workers(settings.get("minWorkers", "auto"), models, size)
            batch = settings.get("batchSize", BATCH_SIZE), settings.get("maxBatchDelay", BATCH_DELAY)
            return ServingPlan(workers, *batch, on_gpu)
        graph = archive.card.get("backend") == "onnxruntime" and not on_gpu
        held = size * (COPIES_OF_GRAPH if graph else 1)
        return ServingPlan(
            own.workers(archive.card["workers"], models, held), *own.batch(**archive.card["batch"]), on_gpu
        )

    def workers(self, asked: int | str, models: int, size: int) -> int:
        """Workers of one model among `models`.

        asked: a number, for each GPU where there are any, or "auto". That is two on each GPU; on a CPU a core each,
        the cores divided among the models; both as far as the memory goes, of the GPU and of the machine. Two workers
        of one thread answer more than one worker of two threads. size: bytes of the model that a worker holds.
        """
        if asked != "auto":
            return int(asked) * max(1, self.gpus)
        if self.gpus:
            on_each = int(self.gpu_free / (GPU_WORKER_BYTES + PER_ARCHIVE_BYTE * size) / models)
            fitting = int(SHARE_OF_MEMORY * self.free / (WORKER_BYTES + CONTEXT_BYTES + size) / models / self.gpus)
            return max(1, min(WORKERS_PER_GPU, on_each, fitting)) * self.gpus
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


def explainers(archive: Archive, asked: Collection[str], gpus: int) -> int:
    """Workers for a model's explanations, 0 for none: as its card says, or one where it is asked for.

    asked: names of models, or ALL. Raises DeployError for a model that is asked for by name and has no explanations.
    """
    by_name = archive.name in asked
    least = int(by_name or ALL in asked)
    if archive.card:
        explain = archive.card.get("explain") or {}
        offered, workers = bool(explain), max(int(explain.get("workers", 0)), least)
    else:
        offered, workers = archive.explains, least
    if by_name and not offered:
        raise DeployError(f"{archive.path.name}: no explanations; docs/explanations.md lists the tasks that have them")
    if offered and workers and find_spec("captum") is None:
        raise DeployError(f"{archive.path.name}: explanations need captum, which ./scripts/setup stock installs")
    return workers * max(1, gpus) if offered else 0


def register_explainers(management: Management, archive: Archive, workers: int) -> None:
    """Register an archive a second time, for its explanations; each is a batch of its own."""
    name = explainer_of(archive.name)
    management.register(
        archive.path.name, name=name, batch_size=1, max_batch_delay=sent(management, 0), synchronous=False
    )
    management.scale(name, workers, version=archive.version, synchronous=False)
