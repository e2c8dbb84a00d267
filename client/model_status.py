"""The status of a model version, as reported by the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class RegisteredModel:
    """archive: the name under which the default version's archive was registered."""

    name: str
    archive: str


@dataclass(frozen=True)
class Worker:
    """status: READY once the worker has loaded the model, otherwise UNLOADING. memory: in bytes."""

    id: str
    status: str
    pid: int
    memory: int
    gpu: bool


@dataclass(frozen=True)
class ModelStatus:
    """max_batch_delay: in milliseconds. pending: requests in the queue. remaining: free places in the queue.

    card: the model card, if requested. response_timeout: seconds after which TorchServe kills a worker that has not
    answered; None if the server does not report it.
    """

    name: str
    version: str
    archive: str
    min_workers: int
    max_workers: int
    batch_size: int
    max_batch_delay: int
    pending: int
    remaining: int
    workers: tuple[Worker, ...]
    card: Mapping[str, Any] | None = None
    response_timeout: int | None = None

    @property
    def ready(self) -> bool:
        """Whether the minimum number of workers, and at least one, have loaded the model."""
        loaded = sum(worker.status == "READY" for worker in self.workers)
        return loaded >= max(1, self.min_workers)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse one element of TorchServe's description of a model."""
        return cls(
            name=value["modelName"],
            version=value["modelVersion"],
            archive=value["modelUrl"],
            min_workers=value["minWorkers"],
            max_workers=value["maxWorkers"],
            batch_size=value["batchSize"],
            max_batch_delay=value["maxBatchDelay"],
            pending=value["jobQueueStatus"]["pendingRequests"],
            remaining=value["jobQueueStatus"]["remainingCapacity"],
            workers=tuple(
                Worker(worker["id"], worker["status"], worker["pid"], worker["memoryUsage"], worker["gpu"])
                for worker in value["workers"]
            ),
            card=value.get("customizedMetadata"),
            response_timeout=value.get("responseTimeout"),
        )
