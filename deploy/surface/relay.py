"""Calls of the page to TorchServe, whose port is another origin: passed on as they come, answers as they are written.

For a server on loopback alone; through the edge these paths go to TorchServe by themselves.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from client.explanations import SUFFIX
from deploy.edge.limits import MAX_REQUEST, TOTAL
from deploy.edge.management import NAME
from deploy.surface.same_site import other_site

PATH = re.compile(
    rf"/predictions/{NAME}(?:/{NAME})?|/v2/models/{NAME}/infer|"
    rf"/explanations/(?P<model>{NAME}?)(?:{re.escape(SUFFIX)})?(?P<version>/{NAME})?"
)
SECONDS = float(TOTAL.removesuffix("s"))
AT_ONCE = 32  # calls; the next gets 503
CHUNK = 1 << 16  # bytes
DIGITS = 12  # of a length that is looked at
# What a call may say to TorchServe and its handlers; `describe` and `explain` would decide for a whole batch.
SENT = (
    *("Authorization", "Content-Type", "Content-Encoding", "Accept", "Inference-Header-Content-Length"),
    *("X-Request-Id", "traceparent", "tracestate"),
)
# Of an answer; its length and its end are the connection's.
RETURNED = (
    *("Content-Type", "Content-Length", "Server-Timing", "Retry-After", "X-Request-Id", "Model-Version"),
    "Inference-Header-Content-Length",
)


class Relay:
    """torchserve: the base URL of its predictions."""

    def __init__(self, torchserve: str) -> None:
        self.address = urlsplit(torchserve).netloc
        self.places = threading.BoundedSemaphore(AT_ONCE)

    def takes(self, target: str) -> bool:
        """target: of a request, percent-encoded."""
        return PATH.fullmatch(urlsplit(target).path) is not None

    def answer(self, call: BaseHTTPRequestHandler) -> None:
        """One call, from its body to the last byte of its answer."""
        with suppress(ConnectionError):  # the caller has gone
            length = call.headers.get("Content-Length", "")
            wrong = other_site(call.headers)
            if wrong:
                refuse(call, 403, "Forbidden", wrong)
            elif not length.isdecimal() or len(length) > DIGITS or "Transfer-Encoding" in call.headers:
                refuse(call, 411, "LengthRequired", "wanted the header Content-Length, a number of bytes")
            elif int(length) > MAX_REQUEST:
                refuse(call, 413, "TooLarge", f"the body has {length} bytes; the limit is {MAX_REQUEST}")
            elif not self.places.acquire(blocking=False):
                refuse(call, 503, "Unavailable", f"{AT_ONCE} calls are being answered; try again")
            else:
                try:
                    self.pass_on(call, int(length))
                finally:
                    self.places.release()

    def pass_on(self, call: BaseHTTPRequestHandler, length: int) -> None:
        try:
            body = call.rfile.read(length)
        except TimeoutError:
            return refuse(call, 408, "RequestTimeout", "the body did not arrive in time")
        if len(body) < length:
            return None  # the caller has gone
        target = urlsplit(call.path)
        with closing(HTTPConnection(self.address, timeout=SECONDS)) as connection:
            try:
                connection.request("POST", torchserve_path(target.path), body, headers_of(call, target.query))
                answer = connection.getresponse()
            except TimeoutError:
                return refuse(call, 504, "DeadlineExceeded", f"TorchServe has not answered within {SECONDS:g} s")
            except (OSError, HTTPException):
                return refuse(call, 503, "Unavailable", "TorchServe does not answer")
            with suppress(OSError, HTTPException):  # an answer cut off shows as such, by its length or its last line
                write(call, answer)
        return None


def torchserve_path(path: str) -> str:
    """A model's explanations are a second model of TorchServe's."""
    found = PATH.fullmatch(path)
    if found is None or found["model"] is None:
        return path
    return f"/explanations/{found['model']}{SUFFIX}{found['version'] or ''}"


def headers_of(call: BaseHTTPRequestHandler, query: str) -> dict[str, str]:
    """Parameters of the query, which TorchServe drops, and the seconds that the caller waits, as the edge says them."""
    sent = {name: call.headers[name] for name in SENT if name in call.headers}
    if query:
        sent["X-Parameters"] = query
    try:
        seconds = min(SECONDS, float(call.headers.get("X-Request-Timeout", SECONDS)))
    except ValueError:
        seconds = SECONDS
    return {**sent, "X-Request-Deadline": f"{time.time() + (seconds if seconds > 0 else SECONDS):.3f}"}


def write(call: BaseHTTPRequestHandler, answer: HTTPResponse) -> None:
    begin(call, answer.status, {name: answer.headers[name] for name in RETURNED if name in answer.headers})
    while chunk := answer.read1(CHUNK):
        call.wfile.write(chunk)


def begin(call: BaseHTTPRequestHandler, code: int, headers: Mapping[str, str]) -> None:
    call.send_response(code)
    for name, value in {**headers, "X-Content-Type-Options": "nosniff"}.items():
        call.send_header(name, value)
    call.end_headers()


def refuse(call: BaseHTTPRequestHandler, code: int, type: str, message: str) -> None:
    body = json.dumps({"code": code, "type": type, "message": message}).encode()
    again = {"Retry-After": "1"} if code == 503 else {}
    begin(call, code, {"Content-Type": "application/json", "Content-Length": str(len(body)), **again})
    call.wfile.write(body)
