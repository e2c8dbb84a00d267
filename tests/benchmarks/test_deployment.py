"""Sizing is compared with textbook formulas and with a simulated queue; the load with a server whose speed is known."""

import heapq
import http.server
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.deployment.__main__ import app
from benchmarks.deployment.measurement import measure
from benchmarks.deployment.sizing import Replica, erlang_c
from deploy.edge import certificate
from deploy.tuning.rest_load import Target, closed_loop, poisson

SERVICE = 0.02  # seconds
WORKERS = 2


def test_erlang_s_formula_for_one_and_two_servers() -> None:
    for load in (0.1, 0.5, 0.9):
        assert erlang_c(1, load) == pytest.approx(load)
        waiting = load**2 / 2 / (1 - load / 2)
        assert erlang_c(2, load) == pytest.approx(waiting / (1 + load + waiting))
    assert erlang_c(100, 50) < 1e-6


def test_the_answer_of_one_exponential_server_is_exact() -> None:
    """M/M/1: the time to an answer is exponential, too, with the rate of service less that of arrivals."""
    chance = np.random.default_rng(0)
    replica = Replica(1, list(chance.exponential(0.1, 20_000)), 10.0)
    for rate in (2.0, 5.0, 8.0):
        assert replica.percentile(99, rate, 1) == pytest.approx(np.log(100) / (10 - rate), rel=0.06)


def simulated(service: np.ndarray, servers: int, rate: float, percent: float) -> float:
    """Seconds to the answer, first come, first served, event by event."""
    chance = np.random.default_rng(1)
    arrivals = np.cumsum(chance.exponential(1 / rate, 200_000))
    needed = chance.choice(service, len(arrivals))
    free = [0.0] * servers
    took = []
    for arrival, seconds in zip(arrivals, needed, strict=True):
        end = max(heapq.heappop(free), arrival) + seconds
        heapq.heappush(free, end)
        took.append(end - arrival)
    return float(np.percentile(took, percent))


@pytest.mark.parametrize("kind", ["constant", "lognormal"])
@pytest.mark.parametrize(("replicas", "utilisation"), [(1, 0.7), (2, 0.5), (2, 0.85), (5, 0.9)])
def test_the_percentile_is_near_that_of_a_simulated_queue(kind: str, replicas: int, utilisation: float) -> None:
    chance = np.random.default_rng(2)
    service = np.full(5000, 0.05) if kind == "constant" else chance.lognormal(np.log(0.045), 0.45, 5000)
    replica = Replica(WORKERS, list(service), WORKERS / float(np.mean(service)))
    rate = utilisation * replicas * replica.capacity
    found = simulated(service, replicas * WORKERS, rate, 99)
    assert replica.percentile(99, rate, replicas) == pytest.approx(found, rel=0.15)


def test_more_load_needs_more_replicas_and_a_time_below_service_none() -> None:
    replica = Replica(2, [0.05] * 100, 40.0)
    sizes = [replica.needed(rate, 99, 0.1) for rate in (1, 30, 100, 1000)]
    assert sizes == sorted(sizes, key=lambda size: size or 0)
    assert sizes[0] == 1
    for rate, size in zip((30, 100, 1000), sizes[1:], strict=True):
        assert size is not None
        assert replica.percentile(99, rate, size) <= 0.1 < replica.percentile(99, rate, size - 1)
    assert replica.needed(10, 99, 0.04) is None
    assert replica.percentile(99, 80, 2) == float("inf")


def test_workers_that_share_cores_are_slower_under_load() -> None:
    assert Replica(2, [0.05], 20.0).stretch == pytest.approx(2)
    assert Replica(2, [0.05], 40.0).stretch == 1


def test_arrivals_are_poisson_s_and_the_same_for_the_same_seed() -> None:
    times = np.array(poisson(100, 200, 3))
    gaps = np.diff(times)
    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1, rel=0.05)
    assert np.mean(gaps > 0.02) == pytest.approx(np.exp(-2), rel=0.05)
    assert times[-1] < 200
    assert poisson(100, 2, 3) == poisson(100, 2, 3) != poisson(100, 2, 4)


class Queue(http.server.BaseHTTPRequestHandler):
    """WORKERS at a time, SERVICE each."""

    protocol_version = "HTTP/1.1"
    free = threading.Semaphore(WORKERS)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.free:
            time.sleep(SERVICE)
        allowed = self.headers.get("Authorization") == "Bearer key-of-the-test"
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a server with TLS, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("tls")
    certificate.ensure(folder, ["localhost"])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Queue)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / certificate.CERTIFICATE, folder / certificate.KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], folder / certificate.CERTIFICATE
    server.shutdown()
    thread.join()
    server.server_close()


def target(tls: tuple[int, Path]) -> Target:
    return Target(tls[0], "/m", {"Authorization": "Bearer key-of-the-test"}, host="localhost", tls=True, ca_file=tls[1])


def test_large_bodies_over_tls_come_back_whole(tls: tuple[int, Path]) -> None:
    body = bytes(range(256)) * 8000
    sample = closed_loop(target(tls), [body], 3, 1.0, 0.0)
    assert sample.errors == 0
    assert len(sample.replies) > 3
    assert sample.wrong(lambda index, answer: answer == body) == 0


def test_a_server_that_is_too_slow_shows_it(tls: tuple[int, Path]) -> None:
    """At 1.5 times its capacity the queue grows all the time, and so does the time from when a request was due."""
    calm = measure(target(tls), [b"x"], 10, 2, 0)
    pressed = measure(target(tls), [b"x"], 1.5 * WORKERS / SERVICE, 2, 0)
    assert calm.errors == pressed.errors == 0
    assert pressed.p99 > 400 > calm.p50
    assert pressed.p50 <= pressed.p99 <= pressed.p999


def test_the_command_on_a_deployment(tls: tuple[int, Path], tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(
        json.dumps({key: {"key": "key-of-the-test"} for key in ("inference", "management", "API")})
    )
    (tmp_path / "input.txt").write_text("text")
    arguments = [f"https://localhost:{tls[0]}/m", "-i", str(tmp_path / "input.txt"), "--rate", "5,20", "--seconds", "2"]
    arguments += ["--key-file", str(tmp_path / "keys.json"), "--ca-file", str(tls[1]), "--output", str(tmp_path)]
    arguments += ["--workers", str(WORKERS), "--p99", "150ms", "--targets", "50,500,5000"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "deployment.json").read_text())
    assert [each["rate"] for each in found["measurements"]] == [5, 20]
    assert all(each["errors"] == 0 and each["p50"] >= SERVICE * 1000 for each in found["measurements"])
    assert found["replica"]["capacity"] <= 1.05 * WORKERS / SERVICE
    needed = list(found["replicas"].values())
    assert needed == sorted(needed)
    assert needed[-1] >= 5000 * SERVICE / WORKERS
    assert (tmp_path / "deployment.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"500 .*\d+ .*%", done.output)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://host/m"], "wanted http:// or https://"),
        (["https://host"], "the path of a model"),
        (["http://127.0.0.1:1/m"], "cannot be reached"),
        (["https://host/m", "--rate", "0"], "wanted numbers"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("text")
    done = CliRunner().invoke(app, [*arguments, "-i", str(tmp_path / "input.txt"), "--output", str(tmp_path / "out")])
    assert done.exit_code != 0
    assert said in " ".join(done.output.replace("│", " ").split())
