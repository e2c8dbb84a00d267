"""The shadow phase: both versions of a model answer copies of calls; callers never see these answers."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

import grpc

from client import Answer, ClientError
from client.rest import RestConnection
from client.rpc import GrpcConnection
from client.server import Server
from client.stubs.inference_pb2 import PredictionResponse, PredictionsRequest
from client.stubs.inference_pb2_grpc import (
    InferenceAPIsServiceServicer,
    InferenceAPIsServiceStub,
    add_InferenceAPIsServiceServicer_to_server,
)
from client.wire.rest_request import segment
from client.wire.rpc_request import rpc_answer
from deploy.edge.network import GRPC_SHADOW, REST_SHADOW
from deploy.edge.traffic import Copies
from deploy.errors import DeployError
from deploy.run_folder import server_of
from deploy.versions import edge
from deploy.versions.rollout.agreement import agreement
from deploy.versions.rollout.evidence import bounds
from deploy.versions.rollout.state import State
from deploy.versions.target import Target
from deploy.versions.undoing import Tell

SHARE = 0.25  # of calls to copy; each copy costs an answer from both versions
WAITING = 16  # copies at most; more are dropped, so that a slow version does not accumulate them
MIN_COMPARED = 20
ALPHA = 0.01
TICK = 0.5
NOT_SENT = {"connection", "content-length", "host", "authorization", "transfer-encoding", "x-shadow"}
Ask = Callable[[str], Answer]  # a version → its answer


class Shadow:
    """Receives copies of calls from this machine's edge and compares both versions' answers."""

    def __init__(self, targets: list[Target], state: State, tell: Tell) -> None:
        if len(targets) != 1 or targets[0].run is None or targets[0].settings is None:
            raise DeployError("--shadow needs a single server on this machine, whose edge sends the copies")
        self.target, self.run, self.state, self.tell = targets[0], targets[0].run, state, tell
        self.waiting: Queue[Ask] = Queue(WAITING)
        self.ended = threading.Event()
        self.compared, self.agreed, self.failed = 0, 0.0, 0
        direct = server_of(self.run)
        self.rest, self.rpc = Rest(direct), Rpc(direct)

    def __enter__(self) -> Self:
        for name in (REST_SHADOW, GRPC_SHADOW):
            (self.run / name).unlink(missing_ok=True)
        self.http = Copied(str(self.run / REST_SHADOW), self.of_rest())
        self.grpc = grpc.server(ThreadPoolExecutor(2))
        add_InferenceAPIsServiceServicer_to_server(self.of_grpc(), self.grpc)
        self.grpc.add_insecure_port(f"unix:{self.run / GRPC_SHADOW}")
        self.grpc.start()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.http.serve_forever, self.work)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()
        self.grpc.stop(None)
        self.threads[1].join()
        for connection in (self.rest, self.rpc):
            connection.close()
        for name in (REST_SHADOW, GRPC_SHADOW):
            (self.run / name).unlink(missing_ok=True)

    def compare(self, save: Callable[[], None]) -> str:
        """Compare for as long as planned. Return the reason for a rollback, or ""."""
        plan, began = self.state.plan, time.time()
        until = began + max(plan.patience, plan.shadow)
        edge.change(self.target, lambda now: now.copying(self.state.model, Copies(share=SHARE, until=until)))
        self.tell(f"{self.state.old} and {self.state.new} answer copies of calls for {self.state.model}")
        try:
            while True:
                time.sleep(TICK)
                mean = self.agreed / self.compared if self.compared else 0.0
                self.state.agreement = {"compared": self.compared, "mean": mean, "failed": self.failed}
                save()
                said = (
                    f"{mean:.1%} of {self.compared} answers, {self.failed} of which were errors of the new version only"
                )
                if self.compared and bounds(self.agreed, self.compared, ALPHA)[1] < plan.min_agreement:
                    return f"its answers agree with the old version's in {said}; wanted {plan.min_agreement:.1%}"
                enough = self.compared >= MIN_COMPARED and mean >= plan.min_agreement
                if time.time() - began >= plan.shadow and enough:
                    self.tell(f"answers agree in {said}")
                    return ""
                if time.time() > until:
                    return f"its answers could not be shown to agree with the old version's: {said}"
        finally:
            edge.change(self.target, lambda now: now.copying(self.state.model, None))

    def work(self) -> None:
        while not self.ended.is_set():
            with suppress(Empty):
                self.judge(self.waiting.get(timeout=TICK))

    def judge(self, ask: Ask) -> None:
        """Compare the answers to one copy; skip it if the old version refuses it or fails."""
        try:
            old = ask(self.state.old)
        except ClientError:
            return
        try:
            value = agreement(old, ask(self.state.new))
        except ClientError:
            value = 0.0
            self.failed += 1
        self.compared += 1
        self.agreed += value

    def take(self, ask: Ask) -> None:
        with suppress(Full):
            self.waiting.put_nowait(ask)

    def of_rest(self) -> type[BaseHTTPRequestHandler]:
        shadow = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_SENT}
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()
                shadow.take(lambda version: shadow.rest.ask(shadow.state.model, version, headers, body))

            do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler

    def of_grpc(self) -> InferenceAPIsServiceServicer:
        shadow = self

        class Servicer(InferenceAPIsServiceServicer):
            def Predictions(  # noqa: N802 - gRPC's name
                self, request: PredictionsRequest, context: grpc.ServicerContext
            ) -> PredictionResponse:
                shadow.take(lambda version: shadow.rpc.ask(request, version))
                return PredictionResponse()

        return Servicer()


class Copied(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Rest(RestConnection):
    """A connection to the server that bypasses its edge, because no caller made these calls."""

    def ask(self, model: str, version: str, headers: dict[str, str], body: bytes) -> Answer:
        path = f"/predictions/{segment(model)}/{segment(version)}"
        return self._send("POST", path, "inference", headers=headers, data=body)


class Rpc(GrpcConnection):
    key = "inference"

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._stub = InferenceAPIsServiceStub(self._channel)

    def ask(self, request: PredictionsRequest, version: str) -> Answer:
        sent = PredictionsRequest()
        sent.CopyFrom(request)
        sent.model_version = version
        return rpc_answer(self._call(self._stub.Predictions, sent, None).prediction)
