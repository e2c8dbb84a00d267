"""A REST and a gRPC server that answer with the request that they received."""

import json
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import grpc

from client.stubs.inference_pb2 import PredictionResponse, PredictionsRequest
from client.stubs.inference_pb2_grpc import (
    InferenceAPIsServiceServicer,
    add_InferenceAPIsServiceServicer_to_server,
)
from deploy.ports import HOST


class Mirror(BaseHTTPRequestHandler):
    """Answers with the request's path and headers: 503 for a path that ends in /busy, else `code`.

    For one that ends in /cut it closes the connection within an answer with 500.
    """

    protocol_version = "HTTP/1.1"
    code = 200
    wbufsize = 1 << 16  # one write per answer: two would wait for each other

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"path": self.path, "headers": headers}).encode()
        cut = self.path.endswith("/cut")
        self.send_response(500 if cut else 503 if self.path.endswith("/busy") else self.code)
        if cut:
            self.send_header("content-type", "application/json")
            self.close_connection = True
        self.send_header("content-length", str(len(body) + cut))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        return


class RpcMirror(InferenceAPIsServiceServicer):
    """Answers with the message's model, version, length of the body, and other entries."""

    def Predictions(  # noqa: N802 - gRPC's name
        self, request: PredictionsRequest, context: grpc.ServicerContext
    ) -> PredictionResponse:
        received = {
            "model": request.model_name,
            "version": request.model_version,
            "length": len(request.input["body"]),
            "entries": {name: value.decode() for name, value in request.input.items() if name != "body"},
        }
        return PredictionResponse(prediction=json.dumps(received).encode())


class MirrorPorts(NamedTuple):
    rest: int
    rpc: int


@contextmanager
def mirrors() -> Iterator[MirrorPorts]:
    """Serve both on free ports of the loopback address."""
    rpc = grpc.server(futures.ThreadPoolExecutor(4))
    add_InferenceAPIsServiceServicer_to_server(RpcMirror(), rpc)
    port = rpc.add_insecure_port(f"{HOST}:0")
    rpc.start()
    rest = ThreadingHTTPServer((HOST, 0), Mirror)
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    try:
        yield MirrorPorts(rest.server_port, port)
    finally:
        rest.shutdown()
        rest.server_close()
        thread.join()
        rpc.stop(None).wait()
