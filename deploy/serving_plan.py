"""Plans workers and batches of each model. TorchServe assigns the GPUs to a model's workers in turn."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
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

# The least memory of a worker: Python, torch and the libraries that a handler imports.
WORKER_BYTES = 600 * 2**20
# ONNX Runtime holds a graph's weights in its own layout, once for each number of threads that a worker uses.
COPIES_OF_GRAPH = 2
# A worker on a GPU needs CUDA's libraries and the host's side of the context as well.
CONTEXT_BYTES = 2**30
# Share of the free memory; the rest is for requests and other processes.
SHARE_OF_MEMORY = 0.5
# One worker decodes while another computes.
WORKERS_PER_GPU = 2
# A worker's GPU memory, estimated: its context and its kernels' working space, and for each byte of the archive the
# weights, the copy rounded to 16 bits that is compared with them, and the memory of batches and graphs.
GPU_WORKER_BYTES, PER_ARCHIVE_BYTE = 2**30, 3
BATCH_ON_GPU = 16
# TorchServe's defaults, in requests and milliseconds.
BATCH_SIZE, BATCH_DELAY = 1, 100
# The most requests that TorchServe puts into a batch without a delay.
UNWAITED = 2
# The value of --explain that stands for every model with explanations.
ALL = "all"


@dataclass(frozen=True)
class ServingPlan:
    """How one model is served. batch_size: most requests in a batch. delay_ms: how long the first waits for others.

    gpu: whether its workers compute on GPUs.
    """

    workers: int
    batch_size: int
    delay_ms: int
    gpu: bool = False


@dataclass(frozen=True)
class Machine:
    """cores: number that this process may use. gpus: number that workers compute on. free: bytes of free memory.

    gpu_free: bytes of free memory on the GPU that has the least.
    """

    cores: int
    gpus: int
    free: int
    gpu_free: int = 0

    @classmethod
    def detect(cls, variables: Mapping[str, str] = os.environ) -> Machine:
        """This machine, or the container's part of it, with the GPUs of a process with these environment variables.

        Raises DeployError for a GPU that torch cannot use.
        """
        free = int(min(psutil.virtual_memory().available, memory_left()))
        devices = usable(variables)
        # A GPU that reports no memory of its own shares the machine's.
        gpu_free = min((free if device.free is None else device.free for device in devices), default=0)
        return cls(cores(), len(devices), free, gpu_free)

    def serving(self, archive: Archive) -> Machine:
        """This machine as an archive's workers use it: without GPUs if the archive is for the CPU.

        Raises DeployError if the archive requires a GPU and there is none.
        """
        if archive.device == "gpu" and not self.gpus:
            raise DeployError(f"{archive.path.name} is to be served on a GPU alone (`device: gpu`), and there is none")
        return replace(self, gpus=0, gpu_free=0) if archive.device == "cpu" else self

    def plan(self, archive: Archive, models: int) -> ServingPlan:
        """The plan for one archive among `models`, by its card, or by TorchServe's settings if it has no card.

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

        asked: a number (per GPU if there are any), or "auto": two per GPU; on a CPU one per core, the cores divided
        among the models; in both cases limited by the free memory of the GPU and the machine. Two workers with one
        thread each answer more requests than one worker with two threads. size: bytes of the model in each worker.
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
        """(most requests in a batch, milliseconds that the first waits for others), by the settings of a card.

        On a CPU a batch is not faster than its items one by one: it only spreads the server's cost, and a large batch
        leaves other workers idle. TorchServe fills a batch of two with requests that are already waiting, without
        delaying any; it looks for a third only if a delay is set.
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
    """A batch's delay as it has to be sent: over gRPC TorchServe takes 0 as unset, which means 100 ms."""
    return max(1, delay_ms) if isinstance(management, GrpcManagement) else delay_ms


def explainers(archive: Archive, asked: Collection[str], gpus: int) -> int:
    """Workers for a model's explanations, 0 for none: the number on its card, or one if they are requested.

    asked: names of models, or ALL. Raises DeployError for a model that is named there and has no explanations.
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
