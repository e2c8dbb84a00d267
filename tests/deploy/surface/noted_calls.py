"""A stand-in for TorchServe that notes what it is asked."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.ports import HOST


class TorchServe:
    """Notes the calls that arrive, and answers them in two pieces; below /predictions/slow the second when it may."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.may_end = threading.Event()
        noted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                noted.calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200 if "refused" not in self.path else 400)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Server-Timing", "inference;dur=1.50")
                self.send_header("Set-Cookie", "a=b")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"4\r\none\n\r\n")
                if "slow" in self.path:
                    noted.may_end.wait(30)
                self.wfile.write(b"4\r\ntwo\n\r\n0\r\n\r\n")

            def log_message(self, format: str, *args: object) -> None:
                """Tests read what is noted."""

        self.http = ThreadingHTTPServer((HOST, 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.http.server_port}"

    def stop(self) -> None:
        self.may_end.set()
        self.http.shutdown()
        self.http.server_close()
