"""Management over REST."""

from __future__ import annotations

import json
from collections.abc import Mapping

from client.exchange import segment
from client.management import LOADING, PAGE, Management
from client.rest import RestConnection


class RestManagement(RestConnection, Management):
    """A synchronous `register` or `scale` holds a thread that serves predictions; over gRPC it does not."""

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
        query = {
            "url": archive,
            "model_name": name,
            "initial_workers": initial_workers,
            "batch_size": batch_size,
            "max_batch_delay": max_batch_delay,
            "synchronous": synchronous,
        }
        return self._change("POST", "/models", query, timeout)

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
        query = {"min_worker": min_workers, "max_worker": max_workers, "synchronous": synchronous}
        return self._change("PUT", path_of(model, version), query, timeout)

    def set_default(self, model: str, version: str, *, timeout: float | None = None) -> str:
        return self._change("PUT", f"{path_of(model, version)}/set-default", {}, timeout)

    def unregister(self, model: str, version: str | None = None, *, timeout: float | None = None) -> str:
        return self._change("DELETE", path_of(model, version), {}, timeout)

    def _page(self, start: int, timeout: float | None) -> str:
        return self._text("GET", "/models", {"limit": PAGE, "next_page_token": start}, timeout)

    def _describe(self, model: str, version: str | None, card: bool, timeout: float | None) -> str:
        return self._text("GET", path_of(model, version), {"customized": card}, timeout)

    def _change(self, method: str, path: str, query: Mapping[str, str | int | None], timeout: float | None) -> str:
        return str(json.loads(self._text(method, path, query, timeout))["status"])

    def _text(self, method: str, path: str, query: Mapping[str, str | int | None], timeout: float | None) -> str:
        given = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in query.items()
            if value is not None
        }
        return self._send(method, path, "management", timeout=timeout, query=given).body.decode()


def path_of(model: str, version: str | None) -> str:
    return f"/models/{segment(model)}" + (f"/{segment(version)}" if version else "")
