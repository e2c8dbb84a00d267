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

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from client import BadRequest, GrpcClient, RestClient, RestManagement, Server
from deploy.edge.limits import MAX_MANAGEMENT, MAX_REQUEST, SIZES
from deploy.ports import HOST
from deploy.run_folder import public_server, state_of
from tests.deploy.edge.caller import OBSERVATION, Caller, assert_form, field


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
    assert re.search("its queue is full|not every model answers", refused[0].details())
    for answer in answers:
        assert_form(answer, 503, "Unavailable")
        assert answer.headers["retry-after"] == "1"
        assert "its queue is full" in answer.json()["message"]
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
