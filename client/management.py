"""The models of a server, over either protocol: register, scale, choose the default, unregister, list, describe."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod

from client.model_status import ModelStatus, RegisteredModel

PAGE = 100  # models, TorchServe's own limit
LOADING = 600.0  # seconds a call may take that waits for workers to load a model


class Management(ABC):
    """Every call raises ClientError and takes a timeout in seconds; None is the connection's own.

    version: None is the default version. The calls that change something return TorchServe's sentence about it.
    """

    @abstractmethod
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
        """Add a model, or a version of one that is there; the first version of a model becomes its default.

        archive: a file name in the model store, or an address that the server's allowed_urls permit. name: instead of
        the archive's own. batch_size, max_batch_delay (ms): instead of the archive's. initial_workers: the
        archive's model-config.yaml wins over it. synchronous: answer after the workers have loaded the model.
        """

    @abstractmethod
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
        """Set the number of workers; max_workers is min_workers where None. Scaling down ends requests in flight."""

    @abstractmethod
    def set_default(self, model: str, version: str, *, timeout: float | None = None) -> str:
        """Choose the version that answers requests which name none."""

    @abstractmethod
    def unregister(self, model: str, version: str | None = None, *, timeout: float | None = None) -> str:
        """Remove one version. The default one goes last: while there are others, TorchServe refuses.

        Requests that wait in its queue are never answered: let it drain first (`describe(…).pending`).
        """

    @abstractmethod
    def _page(self, start: int, timeout: float | None) -> str:
        """JSON: a page of the list of models from the `start`-th on."""

    @abstractmethod
    def _describe(self, model: str, version: str | None, card: bool, timeout: float | None) -> str:
        """JSON: a list of descriptions."""

    def list_models(self, *, timeout: float | None = None) -> list[RegisteredModel]:
        """All models, by name."""
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
        """One version. card: also ask a worker for the model card; waits in the queue like a request."""
        return ModelStatus.from_json(json.loads(self._describe(model, version, card, timeout))[0])

    def versions(self, model: str, *, timeout: float | None = None) -> list[ModelStatus]:
        """All versions of a model."""
        return [ModelStatus.from_json(item) for item in json.loads(self._describe(model, "all", False, timeout))]

    def is_ready(self, model: str, version: str | None = None, *, timeout: float | None = None) -> bool:
        """Whether the workers have loaded the model. The server's ping says Healthy long before that."""
        return self.describe(model, version, timeout=timeout).ready
