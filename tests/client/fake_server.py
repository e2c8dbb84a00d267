"""A small HTTP and gRPC server that speaks TorchServe's wire contract, keys included, and remembers what it was sent.

The model's name says what it does: echo, error-CODE, slow, trickle, bare-413, plain-error, busy-TIMES, and so on.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc

from client import Server
from client.stubs import inference_pb2_grpc, management_pb2_grpc
from tests.client.fake.rpc import Inference, Managing
from tests.client.fake.words import FULL, REFUSED, described, page


class FakeServer:
    def __init__(self, folder: Path) -> None:
        self.key_file = folder / "key_file.json"
        self.keys = {name: secrets.token_hex(4) for name in ("inference", "management", "API")}
        self.asked = 0  # how many keys were asked for
        self.connections = 0
        self.requests: list[dict[str, Any]] = []
        self.models = ["echo"]
        self.lock = Lock()
        self.at_once = self.most_at_once = 0  # calls of "counted"
        self.retry_after = "0"  # seconds
        self.refusals: Counter[str] = Counter()  # of each busy model
        self.left = Event()  # whether a caller of "trickle" or "slow" has left before its answer
        self.write_keys()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(self))
        Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.grpc = grpc.server(ThreadPoolExecutor(8))
        inference_pb2_grpc.add_InferenceAPIsServiceServicer_to_server(Inference(self), self.grpc)
        management_pb2_grpc.add_ManagementAPIsServiceServicer_to_server(Managing(self), self.grpc)
        url = f"http://127.0.0.1:{self.http.server_port}"
        address = f"127.0.0.1:{self.grpc.add_insecure_port('127.0.0.1:0')}"
        self.grpc.start()
        self.server = Server(url, url, address, address, self.key_file)

    def write_keys(self) -> None:
        entries = {n: {"key": k} | ({} if n == "API" else {"expiration time": "…"}) for n, k in self.keys.items()}
        self.key_file.write_text(json.dumps(entries), encoding="utf-8")

    def expire(self, name: str) -> None:
        """The key in the file is no longer taken, as after its time is over."""
        self.keys[name] = secrets.token_hex(4)

    def new_key(self, name: str) -> None:
        self.asked += 1
        self.expire(name)
        self.write_keys()

    def refuses(self, model: str) -> bool:
        """A model "busy-TIMES" has no room for so many calls, and then for all that come."""
        name, _, times = model.partition("-")
        if name != "busy" or self.refusals[model] == int(times):
            return False
        self.refusals[model] += 1
        return True

    def count(self) -> None:
        """A call that takes a moment, and the most there are of it at once."""
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.02)
        with self.lock:
            self.at_once -= 1

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.grpc.stop(None)


def handler_for(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            fake.connections += 1

        def log_message(self, format: str, *args: Any) -> None:
            """Tests read what the fake server remembers, not its log."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            bearer = self.headers.get("Authorization")
            fake.requests.append(
                {"method": self.command, "path": parts.path, "query": query, "headers": self.headers, "body": body}
            )
            if "/token" in self.path:
                if bearer != f"Bearer {fake.keys['API']}" or query.get("type") not in (
                    "inference",
                    "management",
                ):
                    return self.refuse()
                fake.new_key(query["type"])
                return self.reply(200, b"\n")
            wanted = "inference" if parts.path.startswith("/predictions") else "management"
            if bearer != f"Bearer {fake.keys[wanted]}":
                return self.refuse()
            return self.predict(parts.path, body) if wanted == "inference" else self.manage(parts.path, query)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def refuse(self) -> None:
            self.reply(400, json.dumps({"code": 400, "type": "InvalidKeyException", "message": REFUSED}).encode())

        def reply(self, code: int, body: bytes, content_type: str = "application/json; charset=utf-8") -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Request-Id", f"id-{len(fake.requests)}")
            if code == 503:
                self.send_header("Retry-After", fake.retry_after)
            self.end_headers()
            self.wfile.write(body)

        def predict(self, path: str, body: bytes) -> None:
            model = path.split("/")[2]
            if model == "slow":
                time.sleep(2)
            if model == "counted":
                fake.count()
            if fake.refuses(model):
                self.reply(503, json.dumps(FULL).encode())
            elif model == "trickle":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                try:
                    for _ in range(40):
                        self.wfile.write(b".")
                        time.sleep(0.05)
                except OSError:
                    fake.left.set()
                    self.close_connection = True
            elif model.startswith("lines"):
                self.lines(model)
            elif model == "hang-up":
                self.close_connection = True
            elif model == "bare-413":
                self.reply(413, b"")
            elif model == "plain-error":
                self.reply(502, b"bad gateway", "text/plain")
            elif model == "png":
                self.reply(200, b"\x89PNG\r\n\x1a\n....", "image/png")
            elif model.startswith("error-"):
                code = int(model.removeprefix("error-"))
                self.reply(code, json.dumps({"code": code, "type": "Kind", "message": "what and why"}).encode())
            else:
                self.reply(200, json.dumps({"body": base64.b64encode(body).decode()}).encode())

        def lines(self, model: str) -> None:
            """A chunked answer: three lines, or two and an error, or two and the end of the connection."""
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            lines = [json.dumps({"text": f"part {number}"}) for number in range(3)]
            if model == "lines-error":
                lines[2] = json.dumps({"code": 422, "type": "Kind", "message": "what and why"})
            for line in lines[: 2 if model == "lines-breaks" else 3]:
                data = line.encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if model == "lines-breaks":
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        def manage(self, path: str, query: dict[str, str]) -> None:
            if self.command == "GET" and path == "/models":
                text = page(fake.models, int(query.get("limit", 100)), int(query.get("next_page_token", 0)))
            elif self.command == "GET":
                name, version = (*path.split("/")[2:], "")[:2]
                if name == "gone":  # since the list was asked for
                    self.reply(404, json.dumps({"code": 404, "type": "ModelNotFoundException", "message": ""}).encode())
                    return
                text = described(name, version, query.get("customized") == "true")
            else:
                text = json.dumps({"status": f"{self.command} done"})
            self.reply(200, text.encode())

    return Handler
