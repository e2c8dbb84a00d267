"""Predictions over REST."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from client.answer import Answer
from client.credentials import Credentials, KeyName
from client.exchange import exchange, lines, segment, session
from client.explanations import explainer_of
from client.payload import Parameters, Payload, encode, texts
from client.server import Server

T = TypeVar("T")
TIMEOUT = 30.0  # seconds
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class RestConnection:
    """Kept-alive connections to a server, with its keys. May be shared between threads; close it, or use `with`."""

    def __init__(self, server: Server | None = None, *, timeout: float = TIMEOUT) -> None:
        """server: the one `scripts/serve` started where None. timeout: of a call that names none, in seconds."""
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
        """One authorised exchange; a refused key is renewed once."""

        def whole(url: str, **sent: Any) -> Answer:
            return exchange(self._session, method, url, **sent)

        return self._authorised(whole, path, key, timeout, headers, **request)

    def _authorised(
        self,
        ask: Callable[..., T],
        path: str,
        key: KeyName,
        timeout: float | None,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> T:
        url = (self.server.inference if key == "inference" else self.server.management) + path
        seconds = timeout or self.timeout

        def attempt(bearer: str | None) -> T:
            sent = (headers or {}) | self._patience(key, seconds) | ({"Authorization": bearer} if bearer else {})
            return ask(url, timeout=seconds, headers=sent, **request)

        return self._credentials.authorised(key, attempt)

    def _patience(self, key: KeyName, seconds: float) -> dict[str, str]:
        """The headers by which a prediction is not computed when its caller has left.

        An edge takes the seconds. Without one the server is on this machine, as a rule, and has its clock.
        """
        if key != "inference":
            return {}
        if self.server.ca_file is None and urlsplit(self.server.inference).hostname in LOOPBACK:
            return {"X-Request-Deadline": f"{time.time() + seconds:.3f}"}
        return {"X-Request-Timeout": f"{seconds:g}"}


class RestClient(RestConnection):
    """A server's models, asked over REST."""

    def predict(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One answer of a model; raises ClientError.

        payload: as `client.payload.encode` takes it. content_type: of the payload, where it is not what its first
        bytes or its suffix say. accept: media type wanted. version: the default one where None. parameters: of the
        task, such as top_k. timeout: seconds.
        """
        path, request = request_of(model, payload, content_type, accept, version, texts(parameters))
        return self._send("POST", path, "inference", timeout=timeout, **request)

    def explain(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The explanation of an answer of a model; arguments and errors are those of `predict`.

        accept: image/png for a heat map, of images and recordings. parameters: such as method, target and n_steps.
        NotFound where the model's explanations are not served.
        """
        name = explainer_of(model)
        path, request = request_of(name, payload, content_type, accept, version, texts(parameters), "explanations")
        return self._send("POST", path, "inference", timeout=timeout, **request)

    def stream(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Iterator[Answer]:
        """The pieces of an answer as the model writes them, each a JSON object; arguments and errors as of `predict`.

        timeout: for the whole stream. A model that does not stream gives its answer as the only piece.
        """
        fields = texts(parameters) | {"stream": "true"}
        path, request = request_of(model, payload, content_type, accept, version, fields)

        def first(url: str, **sent: Any) -> tuple[Iterator[Answer], Answer | None]:
            pieces = lines(self._session, "POST", url, **sent)
            return pieces, next(pieces, None)

        pieces, piece = self._authorised(first, path, "inference", timeout, **request)
        if piece is not None:
            yield piece
            yield from pieces


def request_of(
    model: str,
    payload: Payload,
    content_type: str | None,
    accept: str | None,
    version: str | None,
    fields: Mapping[str, str],
    calls: str = "predictions",
) -> tuple[str, dict[str, Any]]:
    """The path of a prediction, or of another of `calls`, and its headers and body as requests takes them."""
    body, media_type = encode(payload, content_type)
    path = f"/{calls}/{segment(model)}" + (f"/{segment(version)}" if version else "")
    headers = {"Accept": accept or "*/*"}
    if fields:
        # TorchServe drops the query string of /predictions; a form is its way to carry parameters.
        return path, {"headers": headers, "files": {"data": ("data", body, media_type)}, "data": fields}
    return path, {"headers": headers | {"Content-Type": media_type}, "data": body}
