"""One model is broken: the others answer, through the edge and without it; another server comes first."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from client import RestClient, RestManagement
from deploy.edge.clusters import cluster
from deploy.edge.network import Upstream, socket_address
from deploy.edge.process import envoy
from deploy.ports import HOST, Ports
from deploy.run_folder import server_of, state_of
from tests.deploy.edge.caller import OBSERVATION, Caller

PROMPT = {"text": "once", "max_new_tokens": 4}
LARGE = 8 << 20


@pytest.mark.e2e
def test_the_others_answer(caller: Caller, run: Path) -> None:
    """Its worker stands still and does not take the large bodies that are sent to it."""
    server, port = server_of(run), (state_of(run) or {})["ports"]["status"]
    available = f"http://{HOST}:{port}/available"
    assert requests.get(available, timeout=5).headers.get("x-envoy-degraded") is None
    with RestManagement(server) as management, RestClient(server) as direct, ThreadPoolExecutor(3) as threads:
        [worker] = management.describe("tiny-writer").workers
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            ask: dict[str, Any] = {"headers": {"Content-Type": "text/plain"}, "data": bytes(LARGE)}
            waiting = [threads.submit(caller.rest, "POST", "/predictions/tiny-writer", **ask) for _ in range(3)]
            took, codes, degraded = list[float](), Counter[int](), False
            end = time.monotonic() + 15
            while time.monotonic() < end and not (degraded and len(took) >= 30):
                started = time.monotonic()
                codes[caller.rest("POST", "/predictions/tiny-policy", json=OBSERVATION).status_code] += 1
                assert direct.predict("tiny-policy", OBSERVATION, timeout=20).json()
                took.append(time.monotonic() - started)
                answer = requests.get(available, timeout=5)
                assert answer.status_code == 200
                degraded |= answer.headers.get("x-envoy-degraded") == "true"
                time.sleep(0.1)
            assert degraded
            assert requests.get(f"http://{HOST}:{port}/readyz", timeout=5).status_code == 503
            assert caller.rest("GET", "/readyz", key="").status_code == 200
        finally:
            with suppress(ProcessLookupError):  # it has been replaced
                os.kill(worker.pid, signal.SIGCONT)
        assert set(codes) == {200}, codes
        assert max(took) < 3, sorted(took)[-5:]
        assert {each.result(60).status_code for each in waiting} == {413}
        assert direct.predict("tiny-writer", PROMPT, timeout=20).json()["text"]


class Peer:
    """A server that says how it is, and counts what comes to it."""

    def __init__(self) -> None:
        self.state, self.requests = "ready", 0
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(503 if peer.state == "down" else 200)
                if self.path == "/available":
                    if peer.state == "degraded":
                        self.send_header("x-envoy-degraded", "true")
                else:
                    peer.requests += 1
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self.http = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = int(self.http.server_address[1])
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@contextmanager
def balanced(peers: list[Peer], folder: Path) -> Iterator[str]:
    """The address of an Envoy with a cluster of the edge's, of these servers."""
    made = cluster("peers", Upstream(HOST, 0, 0, 0, 0, 0, 0, {}), 0)
    [group] = made["load_assignment"]["endpoints"]
    group["lb_endpoints"] = [
        {"endpoint": {"address": socket_address(HOST, peer.port), "health_check_config": {"port_value": peer.port}}}
        for peer in peers
    ]
    kinds = "type.googleapis.com/envoy.extensions.filters"
    route = {"match": {"prefix": "/"}, "route": {"cluster": "peers"}}
    manager: dict[str, Any] = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kinds}.http.router.v3.Router"}}
        ],
    }
    port = Ports.free().edge
    listener = {
        "name": "test",
        "address": socket_address(HOST, port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    (folder / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [made]}}))
    command = [str(envoy()), "-c", str(folder / "envoy.json"), "--log-level", "error", "--use-dynamic-base-id"]
    process = subprocess.Popen(command)
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        process.terminate()
        process.wait()


def test_a_server_that_has_all_its_models_comes_first(tmp_path: Path) -> None:
    peers = [Peer() for _ in range(3)]

    def count(wanted: set[int], code: int = 200) -> None:
        """In some seconds, requests come to these servers alone."""
        end = time.monotonic() + 20
        while True:
            for peer in peers:
                peer.requests = 0
            try:
                codes = {session.get(address, timeout=5).status_code for _ in range(60)}
            except requests.ConnectionError:
                codes = set()
            found = {index for index, peer in enumerate(peers) if peer.requests}
            if (codes, found) == ({code}, wanted):
                return
            assert time.monotonic() < end, (codes, found)
            time.sleep(0.2)

    with balanced(peers, tmp_path) as address, requests.Session() as session:
        count({0, 1, 2})
        peers[0].state = peers[1].state = "degraded"
        count({2})
        peers[2].state = "down"
        count({0, 1})
        peers[0].state = peers[1].state = "down"
        count(set(), 503)
        peers[1].state = "degraded"
        count({1})
    for peer in peers:
        peer.http.shutdown()
