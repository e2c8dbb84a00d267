"""More than the edge takes: sizes, queues, bodies in flight, streams."""

import os
import re
import signal
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from client import BadRequest, GrpcClient, RestClient, RestManagement, Server
from client.stubs.open_inference_pb2 import ModelInferRequest
from client.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from deploy.edge import certificate
from deploy.edge.limits import MAX_MANAGEMENT, MAX_REQUEST, SIZES
from deploy.ports import HOST
from deploy.run_folder import public_server, state_of
from tests.deploy.edge.caller import OBSERVATION, SLOW, Caller, assert_form, field
from tests.deploy.envoy.mirrored_edge import mirrored
from tests.deploy.envoy.mirrors import Mirror
from tests.peers.run import run as run_peer

V2 = {"inputs": [{"name": "data", "shape": [1, 4], "datatype": "FP32", "data": OBSERVATION["data"]}]}
# Path, and a JSON body for it.
SURFACES: dict[str, tuple[str, Any]] = {
    "predictions": ("/predictions/tiny-policy", OBSERVATION["data"]),
    "KServe v1": ("/v1/models/tiny-policy:predict", {"instances": [OBSERVATION["data"]]}),
    "KServe v2": ("/v2/models/tiny-policy/infer", V2),
    "OpenAI": ("/v1/chat/completions", {"model": "tiny-policy", "messages": [{"role": "user", "content": "Ja"}]}),
}
TENSOR = ModelInferRequest(
    model_name="tiny-policy",
    inputs=[ModelInferRequest.InferInputTensor(name="data", datatype="FP32", shape=[1, 4])],
    raw_input_contents=[struct.pack("<4f", *OBSERVATION["data"])],
)


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
        answers = {name: caller.rest("POST", path, json=body) for name, (path, body) in SURFACES.items()}
        with pytest.raises(grpc.RpcError) as raised:
            GRPCInferenceServiceStub(caller.channel).ModelInfer(TENSOR, metadata=metadata, timeout=60)
    for rpc in (*refused, raised.value):
        assert rpc.code().name == "UNAVAILABLE"
        assert re.search("queue is full|not every model answers", rpc.details())
        assert said(rpc)["retry-after"] == "1"
    for name, answer in answers.items():
        assert "its queue is full" in message_of(name, answer, 503, "Unavailable")
        assert "connection" not in answer.headers  # it stays open
    # At least the shortest queue that a machine's memory leads to.
    assert [each.code().name for each in waiting if each not in refused].count("OK") >= 16


def message_of(name: str, answer: requests.Response, code: int, type: str) -> str:
    """The message of an error in the form of its surface, which says when to try again."""
    assert (answer.status_code, answer.headers["retry-after"]) == (code, "1"), answer.text
    body = answer.json()
    message = body["message"] if name == "predictions" else body["error"]
    if name == "OpenAI":
        message = message["message"]
    forms = {
        "predictions": {"code": code, "type": type, "message": message},
        "OpenAI": {"error": {"message": message, "type": type, "param": None, "code": code}},
    }
    assert body == forms.get(name, {"error": message})
    return str(message)


def said(rpc: Any) -> dict[str, str]:
    """A call's metadata, before and behind its answer."""
    return {**dict(rpc.initial_metadata() or ()), **dict(rpc.trailing_metadata() or ())}


@pytest.mark.e2e
@pytest.mark.parametrize("name", SURFACES)
def test_more_calls_than_a_key_may_send(caller: Caller, name: str) -> None:
    path, body = SURFACES[name]
    for _ in range(50):
        answer = caller.rest("POST", path, key="slow", json=body)
        if answer.status_code == 429:
            break
    assert "more requests than this key may send" in message_of(name, answer, 429, "TooManyRequests")


@pytest.mark.e2e
def test_what_the_peers_clients_make_of_it(caller: Caller) -> None:
    """Of a rate; OpenAI's own waits as it is told, and then has its answer."""
    address = caller.server.inference.removeprefix("https://")
    found = run_peer("limited", address, caller.server.grpc, SLOW, str(caller.server.ca_file))
    message = "more requests than this key may send; try again"
    error = {"message": message, "type": "TooManyRequests", "param": None, "code": 429}
    assert found["OpenAI"] == ["RateLimitError", 429, error, "1"]
    assert found["OpenAI, again"] == 2
    assert found["v2, HTTP"] == ["429", message]
    assert found["v2, gRPC"] == ["StatusCode.RESOURCE_EXHAUSTED", message]


def test_no_server_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mirrored(tmp_path) as edge:
        monkeypatch.setattr(Mirror, "code", 503)
        edge.until(lambda: not edge.answers("/readyz"), 20)
        for name, (path, body) in SURFACES.items():
            answer = edge.session.post(f"{edge.address}{path}", json=body, timeout=20)
            assert "no server is ready" in message_of(name, answer, 503, "Unavailable")
        trusted = grpc.ssl_channel_credentials((edge.settings / certificate.CERTIFICATE).read_bytes())
        metadata = (("authorization", edge.session.headers["authorization"]),)
        with grpc.secure_channel(f"{HOST}:{edge.ports.edge}", trusted) as channel:
            infer = GRPCInferenceServiceStub(channel).ModelInfer
            error = infer.future(TENSOR, metadata=metadata, timeout=20).exception()
    assert error.code().name == "UNAVAILABLE"
    assert error.details() == "no server is ready: none of their models answers"
    assert said(error)["retry-after"] == "1"


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
