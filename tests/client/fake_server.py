"""A small HTTP and gRPC server that speaks TorchServe's wire contract, keys included, and remembers what it was sent.

The model's name says what it does: echo, error-CODE, slow, trickle, bare-413, plain-error, stream-ok, and so on.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc

from client import Server
from client.stubs import inference_pb2, inference_pb2_grpc, management_pb2, management_pb2_grpc

REFUSED = "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
DESCRIPTION = {
    "modelName": "echo",
    "modelVersion": "2.0",
    "modelUrl": "echo.mar",
    "minWorkers": 2,
    "maxWorkers": 3,
    "batchSize": 8,
    "maxBatchDelay": 4,
    "jobQueueStatus": {"remainingCapacity": 98, "pendingRequests": 2},
    "workers": [
        {"id": "9000", "status": "READY", "pid": 11, "memoryUsage": 1024, "gpu": False},
        {"id": "9001", "status": "UNLOADING", "pid": 12, "memoryUsage": 0, "gpu": False},
    ],
}


def page(models: list[str], limit: int, start: int) -> str:
    """TorchServe's paging: a token whenever the page is full, even when nothing follows."""
    end = start + limit
    value: dict[str, Any] = {"models": [{"modelName": m, "modelUrl": f"{m}.mar"} for m in models[start:end]]}
    if end <= len(models):
        value["nextPageToken"] = str(end)
    return json.dumps(value)


def described(name: str, version: str, customized: bool) -> str:
    value = DESCRIPTION | {"modelName": name} | ({"customizedMetadata": {"task": "echo"}} if customized else {})
    return json.dumps([value, value | {"modelVersion": "1.0"}] if version == "all" else [value])


class FakeServer:
    def __init__(self, folder: Path) -> None:
        self.key_file = folder / "key_file.json"
        self.keys = {name: secrets.token_hex(4) for name in ("inference", "management", "API")}
        self.asked = 0  # how many keys were asked for
        self.connections = 0
        self.requests: list[dict[str, Any]] = []
        self.models = ["echo"]
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
            self.end_headers()
            self.wfile.write(body)

        def predict(self, path: str, body: bytes) -> None:
            model = path.split("/")[2]
            if model == "slow":
                time.sleep(2)
            if model == "trickle":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                try:
                    for _ in range(40):
                        self.wfile.write(b".")
                        time.sleep(0.05)
                except OSError:
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


def authorise(fake: FakeServer, name: str, context: Any) -> None:
    given = dict(context.invocation_metadata()).get("authorization")
    if given != f"Bearer {fake.keys[name]}":
        context.abort(grpc.StatusCode.PERMISSION_DENIED, REFUSED)


ARCHIVE = "org.pytorch.serve.archive.model"
NO_WORKER = 'Model "x" has no worker to serve inference request.'
STATUS_OF = {
    "not-found": (grpc.StatusCode.INTERNAL, f"Model not found: x\n{ARCHIVE}.ModelNotFoundException"),
    "no-worker": (grpc.StatusCode.INTERNAL, f"{NO_WORKER}\nInternalServerException.()"),
    "died": (grpc.StatusCode.INTERNAL, "Worker died.\norg.pytorch.serve.http.InternalServerException"),
    "failed": (grpc.StatusCode.UNAVAILABLE, "Prediction\nfailed\norg.pytorch.serve.http.InternalServerException"),
    "memory": (grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory\norg.pytorch.serve.http.InternalServerException"),
    "too-large": (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max"),
    "reset": (grpc.StatusCode.CANCELLED, "Received RST_STREAM with error code 8"),
    "forbidden": (grpc.StatusCode.PERMISSION_DENIED, f"Model API disabled\n{ARCHIVE}.ModelException"),
    "unknown": (grpc.StatusCode.UNKNOWN, ""),
}


class Inference(inference_pb2_grpc.InferenceAPIsServiceServicer):
    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

    def Predictions(self, request: Any, context: Any) -> Any:  # noqa: N802
        authorise(self.fake, "inference", context)
        entries = dict(request.input)
        self.fake.requests.append({"model": request.model_name, "version": request.model_version, "input": entries})
        if request.model_name == "slow":
            time.sleep(2)
        if request.model_name in STATUS_OF:
            context.abort(*STATUS_OF[request.model_name])
        if request.model_name.startswith("error-"):
            code = int(request.model_name.removeprefix("error-"))
            body = json.dumps({"code": code, "type": "Kind", "message": "what and why"}).encode()
        elif request.model_name == "png":
            body = b"\x89PNG\r\n\x1a\n...."
        else:
            body = json.dumps({"body": base64.b64encode(entries["body"]).decode()}).encode()
        return inference_pb2.PredictionResponse(prediction=body)

    def StreamPredictions(self, request: Any, context: Any) -> Any:  # noqa: N802
        authorise(self.fake, "inference", context)
        self.fake.requests.append({"model": request.model_name, "input": dict(request.input)})
        for number in range(3):
            if request.model_name == "breaks" and number == 2:
                context.abort(*STATUS_OF["died"])
            yield inference_pb2.PredictionResponse(prediction=f"part {number}".encode())


class Managing(management_pb2_grpc.ManagementAPIsServiceServicer):
    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

    def answer(self, text: str, request: Any, context: Any) -> Any:
        authorise(self.fake, "management", context)
        self.fake.requests.append({"request": request})
        return management_pb2.ManagementResponse(msg=text)

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer(page(self.fake.models, request.limit, request.next_page_token), request, context)

    def DescribeModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        text = described(request.model_name, request.model_version, request.customized)
        return self.answer(text, request, context)

    def RegisterModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("POST done", request, context)

    def ScaleWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("PUT done", request, context)

    def SetDefault(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("PUT done", request, context)

    def UnregisterModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer("DELETE done", request, context)
