"""Management of a server's models over either protocol: register, scale, set a default, unregister, list, describe."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass

from client.model_status import ModelStatus, RegisteredModel

PAGE = 100  # models, TorchServe's own limit
LOADING = 600.0  # timeout in seconds of a call that waits for workers to load a model


@dataclass(frozen=True)
class Registration:
    """The arguments of `Management.register`."""

    archive: str
    name: str | None
    initial_workers: int | None
    batch_size: int | None
    max_batch_delay: int | None
    synchronous: bool


@dataclass(frozen=True)
class Scaling:
    """The arguments of `Management.scale`."""

    model: str
    version: str | None
    min_workers: int
    max_workers: int | None
    synchronous: bool


class Management(ABC):
    """Every method may raise ClientError and takes a timeout in seconds; None for the connection's default.

    version: None for the default version. Methods that change something return TorchServe's message.
    """

    def register(
        self,
        archive: str,
        *,
        name: str | None = None,
        initial_workers: int | None = None,
        batch_size: int | None = None,
        max_batch_delay: int | None = None,
        synchronous: bool = True,
        timeout: float = LOADING,
    ) -> str:
        """Add a model or a new version of one; the first version of a model becomes its default.

        archive: a file name in the model store, or an address that the server's allowed_urls permits. name, batch_size,
        max_batch_delay (ms): override the archive's values. initial_workers: overridden by the archive's
        model-config.yaml. synchronous: return after the workers have loaded the model.
        """
        wanted = Registration(archive, name, initial_workers, batch_size, max_batch_delay, synchronous)
        return self._register(wanted, timeout)

    def scale(
        self,
        model: str,
        min_workers: int,
        max_workers: int | None = None,
        *,
        version: str | None = None,
        synchronous: bool = True,
        timeout: float = LOADING,
    ) -> str:
        """Set the number of workers. max_workers: None for min_workers. Scaling down aborts requests in flight."""
        return self._scale(Scaling(model, version, min_workers, max_workers, synchronous), timeout)

    def set_default(self, model: str, version: str, *, timeout: float | None = None) -> str:
        """Set the version that answers requests without a version."""
        return self._set_default(model, version, timeout)

    def unregister(self, model: str, version: str | None = None, *, timeout: float | None = None) -> str:
        """Remove one version. TorchServe refuses to remove the default version while there are others.

        Requests waiting in its queue are never answered; let it drain first (`describe(…).pending`).
        """
        return self._unregister(model, version, timeout)

    def list_models(self, *, timeout: float | None = None) -> list[RegisteredModel]:
        """All models, sorted by name."""
        models: list[RegisteredModel] = []
        start: str | None = "0"
        while start is not None:
            page = json.loads(self._page(int(start), timeout))
            models += [RegisteredModel(item["modelName"], item["modelUrl"]) for item in page["models"]]
            start = page.get("nextPageToken")
        return models

    def describe(
        self, model: str, version: str | None = None, *, card: bool = False, timeout: float | None = None
    ) -> ModelStatus:
        """Describe one version. card: also ask a worker for the model card, which waits in the queue like a request."""
        return ModelStatus.from_json(json.loads(self._describe(model, version, card, timeout))[0])

    def versions(self, model: str, *, timeout: float | None = None) -> list[ModelStatus]:
        """Describe all versions of a model."""
        return [ModelStatus.from_json(item) for item in json.loads(self._describe(model, "all", False, timeout))]

    def is_ready(self, model: str, version: str | None = None, *, timeout: float | None = None) -> bool:
        """Whether the workers have loaded the model. The server's ping reports Healthy long before that."""
        return self.describe(model, version, timeout=timeout).ready

    @abstractmethod
    def _register(self, wanted: Registration, timeout: float) -> str: ...

    @abstractmethod
    def _scale(self, wanted: Scaling, timeout: float) -> str: ...

    @abstractmethod
    def _set_default(self, model: str, version: str, timeout: float | None) -> str: ...

    @abstractmethod
    def _unregister(self, model: str, version: str | None, timeout: float | None) -> str: ...

    @abstractmethod
    def _page(self, start: int, timeout: float | None) -> str:
        """A page of the list of models as JSON, from index `start` on."""

    @abstractmethod
    def _describe(self, model: str, version: str | None, card: bool, timeout: float | None) -> str:
        """A list of descriptions as JSON."""
