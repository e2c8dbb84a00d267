"""Management over REST."""

from __future__ import annotations

import json
from collections.abc import Mapping

from client.management import PAGE, Management, Registration, Scaling
from client.rest import RestConnection
from client.wire.rest_request import segment


class RestManagement(RestConnection, Management):
    """A synchronous `register` or `scale` blocks one of the server's inference threads, unlike over gRPC."""

    def _register(self, wanted: Registration, timeout: float) -> str:
        query = {
            "url": wanted.archive,
            "model_name": wanted.name,
            "initial_workers": wanted.initial_workers,
            "batch_size": wanted.batch_size,
            "max_batch_delay": wanted.max_batch_delay,
            "synchronous": wanted.synchronous,
        }
        return self._change("POST", "/models", query, timeout)

    def _scale(self, wanted: Scaling, timeout: float) -> str:
        query = {
            "min_worker": wanted.min_workers,
            "max_worker": wanted.max_workers,
            "synchronous": wanted.synchronous,
        }
        return self._change("PUT", path_of(wanted.model, wanted.version), query, timeout)

    def _set_default(self, model: str, version: str, timeout: float | None) -> str:
        return self._change("PUT", f"{path_of(model, version)}/set-default", {}, timeout)

    def _unregister(self, model: str, version: str | None, timeout: float | None) -> str:
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
