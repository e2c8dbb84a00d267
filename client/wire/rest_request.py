"""A call as an HTTP request."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from urllib3.filepost import encode_multipart_formdata

from client.call import Call
from client.payload import encode, texts
from client.server import Server

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class RestRequest:
    """path: quoted. headers: without the key, the deadline and the trace, which are set per attempt."""

    path: str
    headers: dict[str, str]
    body: bytes


def segment(name: str) -> str:
    """Quote a model's name or version as one path segment.

    TorchServe's management API takes any path that contains "/token" for a key request, so the first letter is quoted
    in names like "tokenizer".
    """
    quoted = quote(name, safe="")
    return f"%74{quoted[1:]}" if quoted.startswith("token") else quoted


def rest_request(call: Call, streams: bool = False) -> RestRequest:
    """streams: request the answer in pieces. Raises ValueError for a payload or parameter that cannot be sent."""
    body, media_type = encode(call.payload, call.content_type)
    fields = texts(call.parameters) | ({"stream": "true"} if streams else {})
    if fields:
        # TorchServe drops the query string of /predictions, so parameters are sent in a form.
        body, media_type = encode_multipart_formdata([*fields.items(), ("data", ("data", body, media_type))])
    path = f"/{'explanations' if call.explains else 'predictions'}/{segment(call.served_model)}"
    if call.version:
        path += f"/{segment(call.version)}"
    return RestRequest(path, {"Accept": call.accept or "*/*", "Content-Type": media_type}, body)


def deadline_headers(server: Server, seconds: float) -> dict[str, str]:
    """Headers with the deadline, after which the server does not compute the prediction any more.

    An edge expects the remaining seconds. A server without an edge is usually on this machine and shares its clock.
    """
    if server.ca_file is None and urlsplit(server.inference).hostname in LOOPBACK:
        return {"X-Request-Deadline": f"{time.time() + seconds:.3f}"}
    return {"X-Request-Timeout": f"{seconds:g}"}
