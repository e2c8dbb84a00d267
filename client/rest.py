"""Predictions over REST."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from client.answer import Answer
from client.call import TIMEOUT, Call
from client.credentials import Credentials, KeyName
from client.exchange import exchange, pieces, session
from client.inference import AsyncInference
from client.many.waiting import WaitingInference
from client.retries import Retries
from client.server import Server
from client.tracing import context
from client.wire.rest_request import RestRequest, deadline_headers, rest_request

T = TypeVar("T")


class RestConnection:
    """Persistent connections to a server, with its keys. Thread-safe; close it, or use `with`."""

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        """server: None for the one that `scripts/serve` started. timeout: default for calls, in seconds."""
        self.server = server or Server.find()
        self.timeout = timeout
        self._credentials = Credentials(self.server)
        self._session = session(ca_file=self.server.ca_file)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(
        self,
        method: str,
        path: str,
        key: KeyName,
        *,
        timeout: float | None = None,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> Answer:
        """Make one authorised exchange; a refused key is renewed once."""

        def whole(url: str, **sent: Any) -> Answer:
            return exchange(self._session, method, url, **sent)

        return self._authorised(whole, path, key, timeout or self.timeout, headers, **request)

    def _authorised(
        self,
        ask: Callable[..., T],
        path: str,
        key: KeyName,
        seconds: float,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> T:
        url = (self.server.inference if key == "inference" else self.server.management) + path
        deadline = deadline_headers(self.server, seconds) if key == "inference" else {}

        def attempt(bearer: str | None) -> T:
            own = context() | deadline | ({"Authorization": bearer} if bearer else {})
            sent = (headers or {}) | own
            return ask(url, timeout=seconds, headers=sent, **request)

        return self._credentials.authorised(key, attempt)


class RestClient(RestConnection, WaitingInference):
    """A client for predictions over REST. Thread-safe; close it, or use `with`."""

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT, max_retries: int = 0) -> None:
        """server: None for the one that `scripts/serve` started. timeout: default for calls, in seconds.

        max_retries: how often a call is retried after 429 or 503, honouring Retry-After and within its timeout.
        """
        RestConnection.__init__(self, server, timeout=timeout)
        WaitingInference.__init__(self)
        self.max_retries = max_retries

    def close(self) -> None:
        self._end_batches()
        super().close()

    def _for_event_loop(self) -> AsyncInference:
        from client.asynchronous.rest import AsyncRestClient

        return AsyncRestClient(self.server, timeout=self.timeout)

    def _ask(self, call: Call) -> Answer:
        return self._sent(call, rest_request(call), exchange)

    def _pieces(self, call: Call) -> Generator[Answer, None, None]:
        def first(*arguments: Any, **request: Any) -> tuple[Answer | None, Generator[Answer, None, None]]:
            found = pieces(*arguments, **request)
            return next(found, None), found

        piece, rest = self._sent(call, rest_request(call, streams=True), first)
        if piece is not None:
            yield piece
            yield from rest

    def _sent(self, call: Call, request: RestRequest, ask: Callable[..., T]) -> T:
        def attempt(seconds: float) -> T:
            send = partial(ask, self._session, "POST")
            return self._authorised(
                send, request.path, "inference", seconds, headers=request.headers, data=request.body
            )

        return Retries.of(call, self).run(attempt)
