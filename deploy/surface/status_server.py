"""A server's status over HTTP, what it says of its models, and a page to try them.

/readyz for who starts the server, /livez for who starts it again, /available and /admitted for an edge, /metrics for
Prometheus, /v2 for callers, /page/ for people.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from deploy.admission import Admission
from deploy.edge.limits import MAX_REQUEST
from deploy.edge.registration import ADMISSION, MAX_CALL, archive_of
from deploy.errors import DeployError
from deploy.hardware import Hardware
from deploy.ports import Ports
from deploy.status import Status
from deploy.surface.http import reply_to
from deploy.surface.inference_service import InferenceServer
from deploy.surface.models import Models
from deploy.surface.openai.calls import Calls
from deploy.surface.relay import CHUNK, Relay, refuse
from deploy.surface.same_site import is_loopback, wrong_host

KNOWN = b"there are /page/, /readyz, /livez, /available, /admitted, /metrics, /openapi.json, /v1/models and /v2\n"
PATIENCE = 30.0  # seconds for the next bytes of a request, or for a caller to take some
LINGER = 10.0  # seconds for a caller to send what it has begun, once it is answered
NO_HEADERS: Mapping[str, str] = {}


class SurfaceServer(ThreadingHTTPServer):
    request_queue_size = 128  # a connection beyond Python's 5 that come at once would wait a second for its next try

    def shutdown_request(self, request: Any) -> None:
        """Read what is left of a request whose body nobody wanted, and close the connection.

        Closed with unread bytes it would be reset, and the caller, an edge as well, might lose the answer.
        """
        left, end = 2 * MAX_REQUEST, time.monotonic() + LINGER
        with suppress(OSError):  # the caller has gone, or does not close its side
            request.shutdown(socket.SHUT_WR)
            while left > 0 and (remaining := end - time.monotonic()) > 0:
                request.settimeout(remaining)
                read = len(request.recv(CHUNK))
                left = left - read if read else 0
        self.close_request(request)


class StatusServer:
    """The HTTP side of a Status, and KServe's v2 protocol over gRPC, in threads of their own; `stop` ends them.

    admission: what decides which archives may be registered, as the edge asks before it passes such a call on; None
    for all of the store.
    """

    def __init__(self, status: Status, host: str, ports: Ports, admission: Admission | None = None) -> None:
        models = Models(status)
        registry = CollectorRegistry()
        registry.register(status)
        registry.register(Hardware())

        # Behind an edge no browser reaches this port, and callers may use any name for the server.
        relay = Relay(status.server.inference) if is_loopback(host) else None
        calls = Calls(status.server.inference) if is_loopback(host) else None

        class Handler(BaseHTTPRequestHandler):
            timeout = PATIENCE

            def do_GET(self) -> None:
                if self.path == "/readyz":
                    code, text = (200, b"ready\n") if status.ready else (503, b"not ready\n")
                    self.reply(code, text, "text/plain")
                elif self.path == "/livez":
                    code, text = (200, b"alive\n") if status.alive else (503, b"hangs\n")
                    self.reply(code, text, "text/plain")
                elif self.path == "/available":
                    # Envoy takes a server that is degraded for want of another.
                    degraded = {} if status.ready else {"x-envoy-degraded": "true"}
                    code, text = (200, b"available\n") if status.available else (503, b"not available\n")
                    self.reply(code, text, "text/plain", degraded)
                elif self.path == "/admitted":
                    code, text = (200, b"admitted\n") if status.admitted else (503, b"not admitted\n")
                    self.reply(code, text, "text/plain")
                elif self.path == "/metrics":
                    self.reply(200, generate_latest(registry), "text/plain; version=0.0.4; charset=utf-8")
                elif relay and (wrong := wrong_host(self.headers)):
                    refuse(self, 421, "MisdirectedRequest", wrong)
                elif found := reply_to(self.path, models):
                    self.reply(found.code, found.body, found.content_type, found.headers)
                else:
                    self.reply(404, KNOWN, "text/plain")

            def do_POST(self) -> None:
                """A prediction, a call of OpenAI's API, or one of the management API, as it is, below ADMISSION."""
                taker = next((each for each in (relay, calls) if each and each.takes(self.path)), None)
                if taker:
                    wrong = wrong_host(self.headers)
                    return refuse(self, 421, "MisdirectedRequest", wrong) if wrong else taker.answer(self)
                if not self.path.startswith(ADMISSION):
                    return self.reply(404, KNOWN, "text/plain")
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(min(length, MAX_CALL))
                try:
                    name = archive_of(self.path.removeprefix(ADMISSION), body)
                    if admission and name:
                        admission.admit(name)
                    return self.reply(200, b"", "text/plain")
                except DeployError as error:
                    return self.reply(422, str(error).encode(), "text/plain; charset=utf-8")

            def reply(self, code: int, body: bytes, content_type: str, more: Mapping[str, str] = NO_HEADERS) -> None:
                self.send_response(code)
                self.send_header("Content-Type", content_type)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return  # a line every second and caller says nothing

        self.status = status
        self.http = SurfaceServer((host, ports.status), Handler)
        self.inference = InferenceServer(models, status.server.grpc, host, ports.open_inference)
        self.threads = [
            threading.Thread(target=self.http.serve_forever, daemon=True),
            threading.Thread(target=status.watch, daemon=True),
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()
        self.inference.start()

    def stop(self) -> None:
        self.status.ended.set()
        self.http.shutdown()
        self.http.server_close()
        self.inference.stop()
