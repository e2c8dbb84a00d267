"""A web server over TLS, whose answers break off, know no ranges or have no end, as a test wants."""

from __future__ import annotations

import http.server
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.edge import certificate


@dataclass
class WebServer:
    """files: by their names; the first is the one at `url`. breaks: how many of the next answers end in the middle.
    ranges: whether parts may be asked for. endless: whether an answer has no end, and says nothing of its length.
    asked: the ranges that were, "" for a whole file. odd: what answers instead of a file, by its name.
    """

    port: int
    ca_file: Path
    files: dict[str, bytes]
    breaks: int = 0
    ranges: bool = True
    endless: bool = False
    asked: list[str] = field(default_factory=list)
    odd: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/{next(iter(self.files))}"


@contextmanager
def serving(folder: Path, files: dict[str, bytes]) -> Iterator[WebServer]:
    """folder: for its certificate."""
    certificate.ensure(folder, ["localhost"])

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].strip("/")
            content = state.files.get(name)
            if name in state.odd:
                state.asked.append(self.headers.get("Range", ""))
                self.close_connection = True
                with suppress(OSError):
                    state.odd[name](self)
            elif content is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif state.endless:
                self.go_on()
            else:
                self.send(content)

        def send(self, content: bytes) -> None:
            asked = self.headers.get("Range", "")
            state.asked.append(asked)
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if state.ranges else None
            first, last = (int(found[1]), int(found[2] or len(content) - 1)) if found else (0, len(content) - 1)
            part = content[first : last + 1]
            self.send_response(206 if found else 200)
            self.send_header("Content-Length", str(len(part)))
            if state.ranges:
                self.send_header("Accept-Ranges", "bytes")
            if found:
                self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.end_headers()
            if state.breaks and len(part) > 1 << 20:
                state.breaks -= 1
                part = part[: len(part) // 2]
                self.close_connection = True
            with suppress(OSError):
                self.wfile.write(part)

        def go_on(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with suppress(OSError):
                for _ in range(1 << 10):
                    self.wfile.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = WebServer(server.server_port, folder / certificate.CERTIFICATE, dict(files))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.ca_file, folder / certificate.KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
