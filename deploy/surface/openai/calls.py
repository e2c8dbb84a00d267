"""Calls of the API on loopback, each passed on to its model at TorchServe, and its answer as it is written.

Through the edge these calls go to TorchServe by themselves (docker/edge/requests.lua).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from deploy.edge.limits import MAX_REQUEST
from deploy.surface.openai.errors import form, rewritten
from deploy.surface.openai.named import in_form, in_json, is_name
from deploy.surface.openai.paths import CALLS, JSON, MAX_JSON
from deploy.surface.relay import AT_ONCE, CHUNK, RETURNED, SECONDS, begin, headers_of
from deploy.surface.same_site import other_site

PREFIX = "/v1/"
MAX_ERROR = 1 << 20  # bytes
JSON_TYPE, FORM_TYPE = "application/json", "multipart/form-data"


class Calls:
    """torchserve: the base URL of its predictions. A caller's key goes on to it, and it decides."""

    def __init__(self, torchserve: str) -> None:
        self.address = urlsplit(torchserve).netloc
        self.places = threading.BoundedSemaphore(AT_ONCE)

    def takes(self, target: str) -> bool:
        """target: of a request to POST, percent-encoded."""
        return target.startswith(PREFIX) and urlsplit(target).path.removeprefix(PREFIX) in CALLS

    def answer(self, call: BaseHTTPRequestHandler) -> None:
        """One call, from its body to the last byte of its answer."""
        path = urlsplit(call.path).path.removeprefix(PREFIX)
        length, limit = call.headers.get("Content-Length", ""), MAX_JSON if CALLS[path] == JSON else MAX_REQUEST
        wrong = other_site(call.headers)
        if wrong:
            refuse(call, 403, "Forbidden", wrong)
        elif not (length.isascii() and length.isdecimal()) or len(length) > 12 or "Transfer-Encoding" in call.headers:
            refuse(call, 411, "LengthRequired", "wanted the header Content-Length")
        elif int(length) > limit:
            refuse(call, 413, "TooLarge", f"the body has {length} bytes; the limit is {limit}")
        elif not self.places.acquire(blocking=False):
            refuse(call, 503, "Unavailable", f"{AT_ONCE} calls are being answered; try again")
        else:
            try:
                body = call.rfile.read(int(length))
                if len(body) == int(length):  # or else the caller has gone
                    self.to_model(call, path, body)
            except TimeoutError:
                refuse(call, 408, "RequestTimeout", "the body did not arrive in time")
            finally:
                self.places.release()

    def to_model(self, call: BaseHTTPRequestHandler, path: str, body: bytes) -> None:
        declared, wanted = call.headers.get("Content-Type", ""), JSON_TYPE if CALLS[path] == JSON else FORM_TYPE
        if call.headers.get("Content-Encoding", "identity") != "identity":
            return refuse(call, 415, "UnsupportedMedia", "Content-Encoding: this path takes none")
        if not declared.strip().lower().startswith(wanted):
            return refuse(call, 415, "UnsupportedMedia", f"/v1/{path} takes {wanted}")
        model = in_json(body) if wanted == JSON_TYPE else in_form(body, declared)
        if model is None:
            message = "model: wanted the name of a model, as a text in the body"
            return refuse(call, 400, "MalformedInput", message)
        if not is_name(model):
            return refuse(call, 404, "NotFound", "model: there is none of this name")
        return self.pass_on(call, model, body, {**headers_of(call, ""), "x-openai": path})

    def pass_on(self, call: BaseHTTPRequestHandler, model: str, body: bytes, headers: Mapping[str, str]) -> None:
        connection = HTTPConnection(self.address, timeout=SECONDS)
        try:
            connection.request("POST", f"/predictions/{model}", body, headers)
            answer = connection.getresponse()
        except (OSError, HTTPException):
            connection.close()
            return refuse(call, 503, "Unavailable", "TorchServe does not answer")
        try:
            write(call, answer)
        except (OSError, HTTPException):
            # One of the two has gone: an answer cut off shows as such, by its length or its last event.
            call.close_connection = True
        finally:
            connection.close()
        return None


def write(call: BaseHTTPRequestHandler, answer: HTTPResponse) -> None:
    """The answer as it comes; an error of TorchServe's own in the API's form."""
    headers = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
    if answer.status >= 400 and "event-stream" not in headers.get("Content-Type", ""):
        again = {"Retry-After": "1"} if answer.status == 503 else {}
        body = rewritten(answer.read(MAX_ERROR), answer.status)
        begin(call, answer.status, {**headers, **again, "Content-Length": str(len(body))})
        call.wfile.write(body)
        return
    begin(call, answer.status, headers)
    while chunk := answer.read1(CHUNK):
        call.wfile.write(chunk)


def refuse(call: BaseHTTPRequestHandler, code: int, type: str, message: str) -> None:
    body = json.dumps(form(code, type, message)).encode()
    again = {"Retry-After": "1"} if code == 503 else {}
    begin(call, code, {"Content-Type": JSON_TYPE, "Content-Length": str(len(body)), **again})
    call.wfile.write(body)
