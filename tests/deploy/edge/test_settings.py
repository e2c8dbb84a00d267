"""Settings that change while the edge runs: Envoy before servers that answer with what they were sent."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import yaml
from scipy.stats import binomtest

from client.stubs.inference_pb2 import PredictionResponse, PredictionsRequest
from client.stubs.inference_pb2_grpc import (
    InferenceAPIsServiceServicer,
    InferenceAPIsServiceStub,
    add_InferenceAPIsServiceServicer_to_server,
)
from deploy.edge import certificate, clients, traffic
from deploy.edge.configuration import BOOTSTRAP, configuration
from deploy.edge.network import Listeners, Upstream
from deploy.edge.private_file import write_private
from deploy.edge.process import envoy
from deploy.edge.traffic import Split, Traffic
from deploy.edge.watched import Watched
from deploy.ports import HOST, Ports

SOON = 5.0  # seconds in which Envoy has read a file, on a machine that is busy
KEYS = {"default": "a" * 32, "admin": "b" * 32}


class Mirror(BaseHTTPRequestHandler):
    """Answers with the path that it was asked for."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # a single write for each answer: two wait for each other

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        return


class RpcMirror(InferenceAPIsServiceServicer):
    """Answers with the version that the message named, and the length of its body."""

    def Predictions(  # noqa: N802 - gRPC's name
        self, request: PredictionsRequest, context: grpc.ServicerContext
    ) -> PredictionResponse:
        text = f"{request.model_name} {request.model_version} {len(request.input['body'])}"
        return PredictionResponse(prediction=text.encode())


class Edge:
    """An edge whose settings a test changes. settings: the user's folder."""

    def __init__(self, folder: Path, rest: int, rpc: int) -> None:
        self.settings, self.ports = folder / "settings", Ports.free()
        upstream = Upstream(HOST, rest, rpc, rest, rpc, rest, {})
        write_private(self.settings / clients.NAME, callers(KEYS))
        certificate.ensure(self.settings, ["localhost", HOST])
        (folder / "edge").mkdir()
        self.watched = Watched(self.settings, folder / "edge", folder / "keys.json", lambda: upstream)
        self.watched.write()
        listeners = Listeners(HOST, self.ports.edge, HOST, self.ports.edge_stats, folder / "envoy.sock")
        write_private(folder / BOOTSTRAP, json.dumps(configuration(upstream, listeners, folder / "edge")))
        with (folder / "envoy.log").open("wb") as log:
            command = [str(envoy()), "-c", str(folder / BOOTSTRAP), "--use-dynamic-base-id", "--log-level", "warning"]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.session = self.connection()
        self.until(lambda: self.answers("/readyz"), 30)

    def stop(self) -> None:
        self.session.close()
        self.process.terminate()
        self.process.wait()

    def connection(self, key: str = KEYS["default"]) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.settings / certificate.CERTIFICATE)
        session.headers["authorization"] = f"Bearer {key}"
        return session

    def answers(self, path: str) -> bool:
        try:
            return self.session.get(f"https://{HOST}:{self.ports.edge}{path}", timeout=5).ok
        except requests.ConnectionError:
            return False

    def ask(self, path: str = "/predictions/model", **headers: str) -> requests.Response:
        address = f"https://{HOST}:{self.ports.edge}{path}"
        return self.session.post(address, data=b"x", headers=headers, timeout=20)

    def versions(self, requests: int, **headers: str) -> Counter[str]:
        """How many calls each version has answered; of a server, what its path says."""
        answers = [self.ask(**headers) for _ in range(requests)]
        for answer in answers:
            assert answer.json()["path"].rpartition("/")[2] == answer.headers["model-version"]
        return Counter(answer.headers["model-version"] for answer in answers)

    def split(self, **versions: Any) -> None:
        """Divide the calls of "model" and wait until the edge does so: a model of this name alone says when."""
        sentinel = f"sentinel-{time.monotonic_ns()}"
        split = {"model": Split(**versions), sentinel: Split(versions={"9": 100})}
        traffic.write(self.settings / traffic.NAME, Traffic(models=split))
        assert self.watched.refresh() == "the edge has new settings: requests.json"
        self.until(lambda: self.ask(f"/predictions/{sentinel}").headers.get("model-version") == "9")

    @staticmethod
    def until(true: Callable[[], bool], seconds: float = SOON) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end
            time.sleep(0.05)


def callers(keys: dict[str, str], **more: Any) -> str:
    rate = {"requests_per_second": 5000, "burst": 5000}
    each = {name: {"key": key, "admin": name == "admin", **rate} for name, key in keys.items()}
    return yaml.safe_dump({"clients": each, **more})


@pytest.fixture
def rpc() -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    add_InferenceAPIsServiceServicer_to_server(RpcMirror(), server)
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    yield port
    server.stop(None)


@pytest.fixture
def edge(tmp_path: Path, rpc: int) -> Iterator[Edge]:
    server = ThreadingHTTPServer((HOST, 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Edge(tmp_path, server.server_address[1], rpc)
    yield made
    made.stop()
    server.shutdown()
    server.server_close()


def is_share(count: int, of: int, share: float) -> bool:
    """False once in a million for a share that is right."""
    return binomtest(count, of, share).pvalue > 1e-6


@pytest.mark.e2e
def test_calls_are_divided(edge: Edge) -> None:
    assert "model-version" not in edge.ask().headers
    edge.split(versions={"1.0": 70, "2.0": 25, "3.0": 5})
    found = edge.versions(600)
    assert all(is_share(found[version], 600, share) for version, share in (("1.0", 0.7), ("2.0", 0.25), ("3.0", 0.05)))
    for path in (
        "/v1/models/model:predict",
        "/v2/models/model/infer",
        "/predictions/model?top_k=3",
    ):
        assert edge.ask(path).json()["path"].startswith("/predictions/model/")
    # A call that names a version gets it, and a model that is not divided its default.
    assert edge.ask("/predictions/model/4.0").json()["path"] == "/predictions/model/4.0"
    assert edge.ask("/predictions/models").json()["path"] == "/predictions/models"
    edge.split(versions={"1.0": 0, "2.0": 100})
    assert edge.versions(50) == {"2.0": 50}
    traffic.write(edge.settings / traffic.NAME, Traffic())
    edge.watched.refresh()
    edge.until(lambda: edge.ask().json()["path"] == "/predictions/model")


@pytest.mark.e2e
def test_calls_over_grpc_are_divided(edge: Edge) -> None:
    edge.split(versions={"1.0": 60, "2.0": 40}, sticky="x-user")
    credentials = grpc.ssl_channel_credentials((edge.settings / certificate.CERTIFICATE).read_bytes())
    metadata = (("authorization", f"Bearer {KEYS['default']}"),)

    def ask(version: str = "", size: int = 5, user: str | None = None) -> tuple[str, str, str]:
        request = PredictionsRequest(model_name="model", model_version=version, input={"body": bytes(size)})
        more = (("x-user", user),) if user else ()
        answer = stub.Predictions(request, metadata=(*metadata, *more), timeout=20)
        model, version, length = answer.prediction.decode().split(" ")
        return model, version, length

    with grpc.secure_channel(f"localhost:{edge.ports.edge}", credentials) as channel:
        stub = InferenceAPIsServiceStub(channel)
        found = Counter(ask() for _ in range(500))
        assert found.keys() == {("model", "1.0", "5"), ("model", "2.0", "5")}
        assert is_share(found["model", "2.0", "5"], 500, 0.4)
        assert ask(version="7.0") == ("model", "7.0", "5")
        for size in (0, 1, 127, 128, 70_000, 2_000_000):
            assert ask(size=size)[2] == str(size)
        by_user = [ask(user="ann")[1] for _ in range(20)]
        # Both protocols draw alike.
        assert set(by_user) == {edge.ask(**{"x-user": "ann"}).headers["model-version"]}


@pytest.mark.e2e
def test_callers_stay_with_their_version(edge: Edge) -> None:
    users = [f"user-{number}" for number in range(400)]

    def versions() -> dict[str, str]:
        return {user: edge.ask(**{"x-user": user}).headers["model-version"] for user in users}

    edge.split(versions={"1.0": 90, "2.0": 10}, sticky="x-user")
    few = versions()
    assert is_share(list(few.values()).count("2.0"), len(users), 0.1)
    assert versions() == few
    edge.split(versions={"1.0": 50, "2.0": 50}, sticky="x-user")
    more = versions()
    assert is_share(list(more.values()).count("2.0"), len(users), 0.5)
    assert all(more[user] == "2.0" for user in users if few[user] == "2.0")
    # Without the header it is drawn for each call; by the caller's key, all calls of a key have one version.
    assert len(edge.versions(40)) == 2
    edge.split(versions={"1.0": 50, "2.0": 50}, sticky="x-client")
    assert len(edge.versions(40)) == 1


@pytest.mark.e2e
def test_keys_and_certificate_change_under_load(edge: Edge) -> None:
    """A new key and a revoked one count within seconds, and no call with a key that stays fails."""
    address = f"https://{HOST}:{edge.ports.edge}/predictions/model"
    codes: Counter[int] = Counter()
    ended = threading.Event()

    def load(session: requests.Session) -> None:
        while not ended.is_set():
            codes[session.post(address, data=b"x", timeout=20).status_code] += 1

    def code(key: str) -> int:
        with edge.connection(key) as session:
            return session.post(address, data=b"x", timeout=20).status_code

    sessions = [edge.connection() for _ in range(3)]
    threads = [threading.Thread(target=load, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    try:
        old, new = "c" * 32, "d" * 32
        for keys in ({**KEYS, "other": old}, {**KEYS, "other": new}, KEYS):
            write_private(edge.settings / clients.NAME, callers(keys))
            assert "api_key_auth.json" in edge.watched.refresh()
            wanted = [200 if key in keys.values() else 401 for key in (old, new)]
            edge.until(partial(lambda wanted: [code(old), code(new)] == wanted, wanted))
        before = (edge.settings / certificate.CERTIFICATE).read_text()
        for name in (certificate.CERTIFICATE, certificate.KEY):
            (edge.settings / name).unlink()
        certificate.ensure(edge.settings, ["localhost", HOST])
        assert edge.watched.refresh() == "the edge has new settings: certificate.json"
        assert (edge.settings / certificate.CERTIFICATE).read_text() != before

        def renewed() -> bool:
            try:
                return code(KEYS["default"]) == 200
            except requests.exceptions.SSLError:
                return False

        edge.until(renewed)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for session in sessions:
            session.close()
    assert codes.keys() == {200}
    assert codes[200] > 50
    assert json.loads((edge.watched.key_file).read_text())["inference"]["key"] == KEYS["default"]


@pytest.mark.e2e
def test_who_may_manage_and_which_pages_may_ask(edge: Edge) -> None:
    def codes() -> list[int]:
        address = f"https://{HOST}:{edge.ports.edge}/models"
        return [edge.connection(key).get(address, timeout=20).status_code for key in KEYS.values()]

    assert codes() == [403, 200]
    write_private(edge.settings / clients.NAME, callers({"admin": KEYS["default"], "other": KEYS["admin"]}))
    edge.watched.refresh()
    edge.until(lambda: codes() == [200, 403])
    origin = "https://app.example.org"
    assert "access-control-allow-origin" not in edge.ask(origin=origin).headers
    write_private(edge.settings / clients.NAME, callers(KEYS, allowed_origins=[origin]))
    edge.watched.refresh()
    edge.until(lambda: edge.ask(origin=origin).headers.get("access-control-allow-origin") == origin)


@pytest.mark.e2e
def test_a_wrong_setting_changes_nothing_and_is_reported_once(edge: Edge) -> None:
    edge.split(versions={"1.0": 100})
    path = edge.settings / traffic.NAME
    for text in ("models: {model: {versions: {a: 10}}}", "models: [", "nothing: 1", "models: {model: {versions: {}}}"):
        path.write_text(text)
        assert str(path) in edge.watched.refresh()
        assert edge.watched.refresh() == ""
    write_private(edge.settings / clients.NAME, "clients: {a: {key: short}}")
    assert "short" not in edge.watched.refresh()
    assert edge.ask().headers["model-version"] == "1.0"


def test_what_differs_is_written_and_nothing_else(tmp_path: Path) -> None:
    """A rate that is counted would start again."""
    settings = tmp_path / "settings"
    clients.ensure(settings / clients.NAME)
    certificate.ensure(settings, ["localhost"])
    (tmp_path / "edge").mkdir()
    upstream = Upstream(HOST, 1, 2, 3, 4, 5, {})
    watched = Watched(settings, tmp_path / "edge", tmp_path / "keys.json", lambda: upstream)
    assert len(watched.write()) == 5
    assert watched.write() == []
    text = (settings / clients.NAME).read_text()
    (settings / clients.NAME).write_text(f"{text}allowed_origins: ['https://app.example.org']\n")
    assert watched.refresh() == "the edge has new settings: routes.json"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "edge").iterdir())


@pytest.mark.parametrize(("split", "bounds"), [
    ({"1.0": 90, "2.0": 10}, [("2.0", 0.1), ("1.0", 1.0)]),
    ({"1.0": 0, "2.0": 100}, [("2.0", 1.0)]),
    ({"a": 33.33, "b": 33.33, "c": 33.34}, [("c", 0.3334), ("b", 0.6667), ("a", 1.0)]),
])  # fmt: skip
def test_bounds_of_a_draw(split: dict[str, float], bounds: list[tuple[str, float]]) -> None:
    found = Split(versions=split).upper_bounds()
    assert [version for version, _ in found] == [version for version, _ in bounds]
    assert [bound for _, bound in found] == pytest.approx([bound for _, bound in bounds])
