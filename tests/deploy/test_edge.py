"""The edge without containers: Envoy from its wheel before a real TorchServe."""

import dataclasses
import json
import os
import re
import signal
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import requests
from google.protobuf.message import Message
from prometheus_client.parser import text_string_to_metric_families

from client import BadRequest, Forbidden, GrpcClient, InvalidInput, RestClient, RestManagement, Server, Unauthorized
from client.rpc import channel
from client.stubs.management_pb2 import RegisterModelRequest, ScaleWorkerRequest
from deploy.edge import clients, process
from deploy.edge.limits import MAX_MANAGEMENT, MAX_REQUEST, SIZES
from deploy.ports import HOST, Ports
from deploy.readiness import load
from deploy.run_folder import public_server, state_of
from deploy.torchserve import TorchServe

SERVICES = {"inference": "InferenceAPIsService", "management": "ManagementAPIsService"}
MODELS = ("tiny-policy", "tiny-writer")
ORIGIN = "https://app.example.org"
OBSERVATION = {"data": [0.1, 0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def run(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a server with an edge; both end without a trace."""
    archives, folder = [tiny_archive(name) for name in MODELS], tmp_path_factory.mktemp("edge")
    callers = folder / "secrets" / "clients.yaml"
    clients.ensure(callers)
    callers.write_text(f"{callers.read_text()}allowed_origins: [{ORIGIN}]\n")
    run, ports = folder / "run", Ports.free()
    with TorchServe(archives[0].parent, run, ports) as torchserve:
        load(run, archives)
        process.start(torchserve.run, ports, list(MODELS), folder / "secrets")
        keeper = psutil.Process((state_of(run) or {})["edge"]["pid"])
        family = [keeper, *keeper.children(recursive=True)]
        assert "envoy" in [member.name() for member in family]
        yield run
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    assert [path.name for path in run.iterdir()] == ["logs"]


@pytest.fixture
def server(run: Path) -> Server:
    return public_server(run)


@pytest.mark.e2e
@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_answers_and_errors_through_the_edge(server: Server, make: type[RestClient | GrpcClient]) -> None:
    with make(server) as client:
        assert client.predict("tiny-policy", OBSERVATION).json()["action"] in (0, 1)
        with pytest.raises(InvalidInput, match=r"shape \[1\]"):
            client.predict("tiny-policy", {"data": [1]})
    with make(dataclasses.replace(server, key_file=None)) as stranger, pytest.raises(Unauthorized):
        stranger.predict("tiny-policy", OBSERVATION)


@pytest.mark.e2e
@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_pieces_of_a_text_come_through_as_they_are_written(server: Server, make: type[RestClient | GrpcClient]) -> None:
    parameters = {"max_new_tokens": 60, "temperature": 1.0, "seed": 3}
    with make(server) as client:
        client.predict("tiny-writer", "once", parameters=parameters)
        for _ in range(5):  # on a busy machine they may all be there before we are called
            started = time.perf_counter()
            came = [time.perf_counter() - started for _ in client.stream("tiny-writer", "once", parameters=parameters)]
            assert len(came) > 10
            if came[0] < 0.8 * came[-1]:
                return
    pytest.fail(f"held back until the end: the first after {came[0]:.3f} s, the last after {came[-1]:.3f} s")


@pytest.mark.e2e
def test_management_is_for_admins(server: Server, run: Path, tmp_path: Path) -> None:
    with RestManagement(server) as admin:
        assert [model.name for model in admin.list_models()] == list(MODELS)
    keys = json.loads((run / "edge_keys.json").read_text())
    caller = tmp_path / "keys.json"
    caller.write_text(json.dumps(dict.fromkeys(keys, keys["inference"])))
    with RestManagement(dataclasses.replace(server, key_file=caller)) as client, pytest.raises(Forbidden):
        client.list_models()


@pytest.mark.e2e
def test_a_caller_cannot_pass_for_another(server: Server, run: Path) -> None:
    """The header that names the caller is the edge's own, whatever a request says."""
    keys = json.loads((run / "edge_keys.json").read_text())
    answer = requests.get(
        f"{server.management}/models",
        headers={"Authorization": f"Bearer {keys['inference']['key']}", "x-client": "admin"},
        verify=str(server.ca_file),
        timeout=10,
    )
    assert answer.status_code == 403
    assert answer.json()["type"] == "Forbidden"


@pytest.mark.e2e
def test_what_is_secret_is_its_owner_s_alone(run: Path) -> None:
    secret = [run / "edge_keys.json", run / "envoy.json"]
    secret += [run.parent / "secrets" / name for name in ("clients.yaml", "tls.key")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret)


class Caller:
    """Requests as no client of ours would send them. keys: "inference", a caller's, and "management", an admin's."""

    def __init__(self, run: Path) -> None:
        keys = json.loads((run / "edge_keys.json").read_text())
        self.server = public_server(run)
        self.keys = {name: f"Bearer {keys[name]['key']}" for name in ("inference", "management")}
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(self.server.ca_file)
        self.channel = channel(self.server.grpc, self.server)

    def rest(self, method: str, path: str, key: str = "inference", **request: Any) -> requests.Response:
        headers = {"Authorization": self.keys[key], **request.pop("headers", {})} if key else request.pop("headers", {})
        prepared = self.session.prepare_request(
            requests.Request(method, self.server.inference, headers=headers, **request)
        )
        prepared.url = f"{self.server.inference}{path}"  # requests would tidy it up
        return self.session.send(prepared, timeout=60)

    def rpc(self, method: str, message: bytes, key: str = "inference", timeout: float = 60) -> tuple[str, str]:
        """The status and message of a call with one message of these bytes."""
        service = f"/org.pytorch.serve.grpc.{key}.{SERVICES[key]}/{method}"
        metadata = (("authorization", self.keys[key]),)
        try:
            for _ in self.channel.unary_stream(service)(message, metadata=metadata, timeout=timeout):
                pass
        except grpc.RpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    def secure(self, protocol: str) -> ssl.SSLSocket:
        """A connection on which anything can be written. protocol: h2 or http/1.1."""
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        context.set_alpn_protocols([protocol])
        host, _, port = self.server.grpc.partition(":")
        return context.wrap_socket(socket.create_connection((host, int(port)), timeout=20), server_hostname=host)


@pytest.fixture
def caller(run: Path) -> Iterator[Caller]:
    made = Caller(run)
    yield made
    made.session.close()
    made.channel.close()


def assert_form(answer: requests.Response, code: int, type: str) -> None:
    assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (code, code, type), answer.text
    assert 0 < len(answer.json()["message"]) <= 300


@pytest.mark.e2e
@pytest.mark.parametrize(("method", "path", "code", "type"), [
    ("POST", "/explanations/tiny-policy", 404, "NotFound"),
    ("POST", "/predictions/tiny-policy/1.0/more", 404, "NotFound"),
    ("POST", "/v2/models/tiny-policy/explain", 404, "NotFound"),
    ("POST", "/v1/models/tiny-policy:explain:predict", 404, "NotFound"),
    ("POST", "/predictions/a%00b", 400, "BadRequest"),
    ("GET", "/predictions/tiny-policy", 405, "MethodNotAllowed"),
    ("OPTIONS", "/predictions/tiny-policy", 405, "MethodNotAllowed"),
    ("GET", "/predictions/%2e%2e/models", 403, "Forbidden"),
])  # fmt: skip
def test_only_documented_paths_reach_the_server(caller: Caller, method: str, path: str, code: int, type: str) -> None:
    assert_form(caller.rest(method, path), code, type)


@pytest.mark.e2e
def test_without_and_with_the_wrong_key(caller: Caller) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}, {"x-client": "admin"}):
        answer = caller.rest("POST", "/predictions/tiny-policy", key="", headers=headers)
        assert_form(answer, 401, "Unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert_form(caller.rest("DELETE", "/models/tiny-policy"), 403, "Forbidden")
    caller.keys["management"] = caller.keys["inference"]
    assert caller.rpc("ListModels", b"", "management")[0] == "PERMISSION_DENIED"
    caller.keys["inference"] = "Bearer wrong"
    assert caller.rpc("Ping", b"")[0] == "UNAUTHENTICATED"


@pytest.mark.e2e
def test_a_header_does_not_decide_what_is_done(caller: Caller) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for name in ("describe", "DESCRIBE", "explain", "Explain"):
        answer = caller.rest("POST", "/predictions/tiny-policy", headers={name: "True", **form})
        assert_form(answer, 415, "UnsupportedMedia")
    for name in ("url_path", "ts_request_sequence_id"):
        answer = caller.rest("POST", "/predictions/tiny-policy", headers={name: "x", **form})
        assert_form(answer, 400, "BadRequest")


def field(number: int, value: bytes, padding: int = 0) -> bytes:
    """A field of bytes; padding: of its two numbers, bytes that mean nothing."""
    return varint(number * 8 + 2, padding) + varint(len(value), padding) + value


def varint(value: int, padding: int = 0) -> bytes:
    assert value < 128
    return bytes([value + 128, *[128] * (padding - 1), 0]) if padding else bytes([value])


WRITER = field(1, b"tiny-writer")
TEXT = field(3, field(1, b"body") + field(2, b"once")) + field(3, field(1, b"content-type") + field(2, b"text/plain"))
STREAM, MARK = b"stream", b"StreamPredictions"


@pytest.mark.e2e
@pytest.mark.parametrize("message", [
    field(3, field(1, STREAM) + field(2, MARK)),
    field(3, field(2, MARK) + field(1, STREAM)),
    field(3, field(1, STREAM, 4) + field(2, MARK, 4), 2),
    field(3, field(1, STREAM) + field(2, b"x") + field(2, MARK)),
    field(3, field(1, b"x") + field(2, MARK) + field(1, STREAM)),
    field(4, b"sequence"),
    field(9, b"unknown"),
    field(2, b"../1.0"),
    b"\x1b\x1c",  # a group
    b"\x0a\x7fcut off",
    b"\xff" * 12,
    *[b"".join(field(3, field(1, b"p%d" % i) + field(2, b"x")) for i in range(100))],
])  # fmt: skip
def test_a_message_that_our_clients_do_not_send(caller: Caller, message: bytes) -> None:
    """The first ends TorchServe's thread of the worker if it gets there: nothing would be answered any more."""
    assert caller.rpc("Predictions", WRITER + TEXT + message)[0] == "INVALID_ARGUMENT"
    assert caller.rpc("Predictions", WRITER + TEXT, timeout=20)[0] == "OK"


@pytest.mark.e2e
@pytest.mark.parametrize("content_type", ["Application/GRPC", "application/grpc+proto", "application/grpc;x"])
def test_the_spelling_of_the_content_type_hides_nothing(caller: Caller, content_type: str) -> None:
    message = WRITER + TEXT + field(3, field(1, STREAM) + field(2, MARK))
    path = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
    data = struct.pack(">BI", 0, len(message)) + message
    answer = caller.rest("POST", path, data=data, headers={"Content-Type": content_type, "TE": "trailers"})
    assert "asks for a stream" in answer.headers.get("grpc-message", answer.text)
    assert caller.rpc("Predictions", WRITER + TEXT, timeout=20)[0] == "OK"


@pytest.mark.e2e
def test_a_mark_within_json_starts_no_stream(caller: Caller) -> None:
    """The edge reads entries; what stands in a body is for the handler to refuse."""
    body = rb'{"text": "once", "stream": "\u0053treamPredictions"}'
    json_type = field(3, field(1, b"content-type") + field(2, b"application/json"))
    status, said = caller.rpc("Predictions", WRITER + field(3, field(1, b"body") + field(2, body)) + json_type)
    assert (status, "stream" in said) == ("INVALID_ARGUMENT", True)
    assert caller.rpc("Predictions", WRITER + TEXT, timeout=20)[0] == "OK"


@pytest.mark.e2e
def test_only_the_calls_of_our_clients(caller: Caller) -> None:
    for method in ("StreamPredictions2", "Nope", "../Ping"):
        assert caller.rpc(method, WRITER + TEXT)[0] == "UNIMPLEMENTED"
    for service in ("openinference.GRPCInferenceService", "../../../grpc.health.v1.Health"):
        call = caller.channel.unary_unary(f"/org.pytorch.serve.grpc.{service}/ServerLive")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"", metadata=(("authorization", caller.keys["management"]),), timeout=20)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    predictions = caller.channel.stream_stream("/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions")
    for messages, options in (([WRITER + TEXT] * 2, {}), ([WRITER + TEXT * 9], {"compression": grpc.Compression.Gzip})):
        metadata = (("authorization", caller.keys["inference"]),)
        with pytest.raises(grpc.RpcError) as raised:
            list(predictions(iter(messages), metadata=metadata, timeout=20, **options))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caller.rpc("Predictions", field(1, b"nobody"))[0] == "NOT_FOUND"
    assert caller.rpc("Predictions", b"")[0] == "INVALID_ARGUMENT"


@pytest.mark.e2e
@pytest.mark.parametrize("query", [
    "url=file:///tmp/x.mar", "url=file%3A%2F%2F%2Ftmp%2Fx.mar", "url=%2e%2e/x.mar", "url=/etc", "url=..%2Fx.mar",
    "url=http://127.0.0.1:9/x.mar", "url=x.mar&model_name=../../x", "url=x.mar&model_name=a%2Fb",
    "url=x.mar&batch_size=100000000", "url=x.mar&batch_size=-1", "url=x.mar&batch_size=0",
    "url=x.mar&initial_workers=abc", "url=x.mar;batch_size=-1", "url=x.mar&handler=os:system",
    "url=x.mar&b%61tch_size=-1", "url=x.mar&model_name=" + 200 * "a", "url=x.mar&response_timeout=99999",
])  # fmt: skip
def test_a_registration_that_is_not_documented(caller: Caller, query: str) -> None:
    assert_form(caller.rest("POST", f"/models?{query}", "management"), 422, "InvalidInput")


@pytest.mark.e2e
@pytest.mark.parametrize(("method", "message"), [
    ("RegisterModel", RegisterModelRequest(url="/etc")),
    ("RegisterModel", RegisterModelRequest(url="x.mar", model_name="../x")),
    ("RegisterModel", RegisterModelRequest(url="x.mar", batch_size=-1)),
    ("RegisterModel", RegisterModelRequest(url="x.mar", batch_size=100_000_000)),
    ("RegisterModel", RegisterModelRequest(url="x.mar", handler="os:system")),
    ("ScaleWorker", ScaleWorkerRequest(model_name="tiny-policy", min_worker=1000)),
])  # fmt: skip
def test_a_registration_over_grpc(caller: Caller, method: str, message: Message) -> None:
    assert caller.rpc(method, message.SerializeToString(), "management")[0] == "INVALID_ARGUMENT"


@pytest.mark.e2e
def test_a_registration_in_json_is_not_read(caller: Caller) -> None:
    answer = caller.rest("POST", "/models", "management", json={"url": "tiny-policy.mar", "batch_size": -1})
    assert (answer.status_code, answer.json()["message"]) == (400, "Parameter url is required.")
    assert_form(caller.rest("PUT", "/models/tiny-policy?min_worker=1000", "management"), 422, "InvalidInput")
    assert_form(caller.rest("GET", "/models?limit=-1", "management"), 422, "InvalidInput")


@pytest.mark.e2e
def test_a_model_whose_name_begins_with_token(caller: Caller) -> None:
    """TorchServe takes such a path for a request of a key, unless its first letter is encoded."""
    assert caller.rest("POST", "/models?url=tiny-policy.mar&model_name=tokenizer", "management").ok
    assert caller.rest("GET", "/models/tokenizer?customized=false", "management").json()[0]["modelName"] == "tokenizer"
    assert caller.rest("DELETE", "/models/tokenizer", "management").ok


@pytest.mark.e2e
@pytest.mark.parametrize(("content_type", "body"), [
    ("multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name=""\r\n\r\n1\r\n--b--\r\n'),
    ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n'
     "Content-Transfer-Encoding: foo\r\n\r\n1\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b; charset=nope", "--b--\r\n"),
    ("multipart/form-data; boundary=", "1"),
    ("application/x-www-form-urlencoded", "=1"),
    ("application/x-www-form-urlencoded", "a=%zz"),
    ("application/x-www-form-urlencoded", bytes(range(256))),
])  # fmt: skip
def test_a_form_that_torchserve_cannot_read(caller: Caller, content_type: str, body: str | bytes) -> None:
    answer = caller.rest("POST", "/predictions/tiny-policy", data=body, headers={"Content-Type": content_type})
    assert_form(answer, 400, "MalformedInput")


@pytest.mark.e2e
def test_more_than_the_edge_takes(caller: Caller) -> None:
    assert_form(caller.rest("POST", "/predictions/tiny-policy", data=bytes(MAX_REQUEST + 1)), 413, "TooLarge")
    assert_form(caller.rest("POST", "/predictions/tiny-policy", headers={"x": 8000 * "a"}), 431, "HeadersTooLarge")
    many = {f"x-{number}": "a" for number in range(120)}
    assert_form(caller.rest("POST", "/predictions/tiny-policy", headers=many), 431, "HeadersTooLarge")
    assert caller.rpc("Predictions", bytes(MAX_REQUEST + 1))[0] == "OUT_OF_RANGE"
    assert_form(caller.rest("POST", "/models?url=x.mar", "management", data=bytes(MAX_MANAGEMENT + 1)), 413, "TooLarge")


@contextmanager
def stopped_worker(run: Path, model: str) -> Iterator[None]:
    """The model's only worker does nothing within the block; what is sent to it waits."""
    with RestManagement(public_server(run)) as management:
        [worker] = management.describe(model).workers
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    # Status has seen it stand still: the server is ready again after its next look and the edge's next check.
    end, since = time.monotonic() + 30, time.monotonic()
    while time.monotonic() - since < 3:
        assert time.monotonic() < end, "the server is not ready again"
        if Caller(run).rest("POST", f"/predictions/{model}", json=[0.1, 0.2, 0.3, 0.4]).status_code != 200:
            since = time.monotonic()
        time.sleep(0.1)


@pytest.mark.e2e
def test_a_full_queue(caller: Caller, run: Path) -> None:
    """A queue and one batch of four wait; the others are refused at once, on connections that stay."""
    policy = field(1, b"tiny-policy") + field(3, field(1, b"body") + field(2, b"[0.1,0.2,0.3,0.4]"))
    json_type = field(3, field(1, b"content-type") + field(2, b"application/json"))
    call = caller.channel.unary_unary("/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions")
    metadata = (("authorization", caller.keys["inference"]),)
    with stopped_worker(run, "tiny-policy"):
        waiting = [call.future(policy + json_type, metadata=metadata, timeout=60) for _ in range(110)]
        end = time.monotonic() + 20
        while not (refused := [each for each in waiting if each.done()]) and time.monotonic() < end:
            time.sleep(0.05)
        answers = [caller.rest("POST", "/predictions/tiny-policy", json=[0.1, 0.2, 0.3, 0.4]) for _ in range(2)]
    assert {each.code().name for each in refused} == {"UNAVAILABLE"}
    assert "its queue is full" in refused[0].details()
    for answer in answers:
        assert_form(answer, 503, "Unavailable")
        assert answer.headers["retry-after"] == "1"
        # Once status has seen the worker stand still, the whole server is refused.
        assert re.search("its queue is full|not every model answers", answer.json()["message"])
        assert "connection" not in answer.headers  # it stays open
    # At least the shortest queue that a machine's memory leads to.
    assert [each.code().name for each in waiting if each not in refused].count("OK") >= 16


def requests_of(run: Path, cluster: str, kind: str) -> float:
    """The edge's requests to a cluster: those that are there now ("active"), or all so far ("total")."""
    port = (state_of(run) or {})["ports"]["edge_stats"]
    page = requests.get(f"http://{HOST}:{port}/stats/prometheus", timeout=10).text
    return next(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == f"envoy_cluster_upstream_rq_{kind}" and sample.labels["envoy_cluster_name"] == cluster
    )


@pytest.mark.e2e
def test_large_bodies_in_flight(run: Path) -> None:
    """Eight are at the server at once, the next wait at the edge, and more than those are refused."""
    large = SIZES[-1]
    number = large.in_flight + large.waiting + 8
    body = bytes(10 ** SIZES[-2].digits)  # a byte more than the next smaller size

    def ask(_: int) -> int:
        return Caller(run).rest("POST", "/predictions/tiny-policy", data=body).status_code

    with ThreadPoolExecutor(number) as threads:
        with stopped_worker(run, "tiny-policy"):
            asked = [threads.submit(ask, index) for index in range(number)]
            end = time.monotonic() + 20
            while not any(each.done() for each in asked) and time.monotonic() < end:
                time.sleep(0.05)
            assert requests_of(run, "rest_large", "active") == large.in_flight
        codes = Counter(each.result() for each in asked)
    assert set(codes) == {400, 503}, codes  # 400: what the model says of zeros
    assert large.in_flight < codes[400] < number


@pytest.mark.e2e
def test_a_length_that_is_not_declared_is_counted(caller: Caller, run: Path) -> None:
    """A chunked body, and every message of gRPC."""
    body = bytes(10 ** SIZES[-2].digits)
    before = [requests_of(run, cluster, "total") for cluster in ("rest_large", "grpc_large")]
    assert caller.rest("POST", "/predictions/tiny-policy", data=iter([body])).status_code == 400
    with GrpcClient(caller.server) as client, pytest.raises(BadRequest):
        client.predict("tiny-policy", body, content_type="application/json")
    assert [requests_of(run, cluster, "total") for cluster in ("rest_large", "grpc_large")] == [n + 1 for n in before]


@pytest.mark.e2e
def test_pipelined_requests_come_back_in_order(caller: Caller) -> None:
    """A slow model and a fast one by turns, all sent before the first answer is there."""

    def request(model: str, kind: str, body: str, connection: str) -> str:
        return (
            f"POST /predictions/{model} HTTP/1.1\r\nHost: edge\r\nAuthorization: {caller.keys['inference']}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: {connection}\r\n\r\n{body}"
        )

    slow = request("tiny-writer", "application/json", '{"text": "once", "max_new_tokens": 8}', "keep-alive")
    fast = request("tiny-policy", "application/json", "[0.1, 0.2, 0.3, 0.4]", "keep-alive")
    last = fast.replace("keep-alive", "close")
    with caller.secure("http/1.1") as connection:
        connection.sendall((9 * (slow + fast) + slow + last).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb'"(finish_reason|action)"', answer) == 10 * [b"finish_reason", b"action"]
    assert answer.count(b"HTTP/1.1 200") == 20


@pytest.mark.e2e
def test_streams_that_are_reset_at_once(caller: Caller, server: Server) -> None:
    """The connection is closed long before it has opened as many as it wanted, and another caller does not notice."""

    def frame(type: int, flags: int, stream: int, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload))[1:] + bytes([type, flags]) + struct.pack(">I", stream) + payload

    names = {":method": "POST", ":scheme": "https", ":path": "/predictions/tiny-policy", ":authority": "edge"}
    names["authorization"] = caller.keys["inference"]
    headers = b"".join(bytes([0, len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in names.items())
    opened = [frame(1, 4, stream, headers) + frame(3, 0, stream, b"\0\0\0\x08") for stream in range(1, 20001, 2)]
    with caller.secure("h2") as connection, RestClient(server) as neighbour:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        taken = 0
        try:
            while taken < len(opened):
                connection.sendall(b"".join(opened[taken : taken + 100]))
                taken += 100
                neighbour.predict("tiny-policy", OBSERVATION)
        except OSError:  # the edge has closed it
            pass
        assert taken < len(opened) / 2


@pytest.mark.e2e
def test_pages_of_allowed_origins_may_ask(caller: Caller) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = caller.rest("OPTIONS", "/predictions/tiny-policy", key="", headers={"Origin": ORIGIN, **asked})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert answer.headers["access-control-allow-methods"] == "POST"
    for key in ("inference", ""):  # a refusal can be read as well
        answer = caller.rest("POST", "/predictions/tiny-policy", key, headers={"Origin": ORIGIN}, data=b"x")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    for origin, path in (("https://app.example.org.evil", "/predictions/tiny-policy"), (ORIGIN, "/models")):
        answer = caller.rest("OPTIONS", path, key="", headers={"Origin": origin, **asked})
        assert answer.status_code == 401
        assert "access-control-allow-origin" not in answer.headers
