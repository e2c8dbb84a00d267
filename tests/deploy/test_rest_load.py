"""The load generator counts what it should: on a server whose speed and failures are known."""

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.tuning.load_processes import LoadProcesses, processes_for
from deploy.tuning.rest_load import Target, closed_loop, open_loop

SERVICE = 0.02  # seconds
BODIES = [b"x" * 100, b"y" * 200_000]


class Echo(http.server.BaseHTTPRequestHandler):
    """Takes SERVICE for each answer, which holds the length of what was sent; /fail answers 503 and closes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(SERVICE)
        answer = str(len(body)).encode()
        self.send_response(503 if self.path == "/fail" else 200)
        self.send_header("Content-Length", str(len(answer)))
        if self.path == "/fail":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_closed_loop_keeps_as_many_requests_on_their_way(port: int) -> None:
    sample = closed_loop(Target(port, "/"), BODIES, 4, 1.0, 0.2)
    assert sample.errors == 0
    assert 0 < sample.throughput <= 4 / SERVICE
    assert len({reply.index for reply in sample.replies}) == 2
    assert sample.percentile(50) >= SERVICE * 1000
    assert sample.wrong(lambda index, body: int(body) == len(BODIES[index])) == 0


def test_wrong_answers_and_errors_are_counted(port: int) -> None:
    sample = closed_loop(Target(port, "/"), BODIES, 2, 0.4, 0.0)
    assert sample.wrong(lambda index, body: index == 0) == sum(reply.index == 1 for reply in sample.replies) > 0
    failed = closed_loop(Target(port, "/fail"), BODIES, 2, 0.4, 0.0)
    assert failed.throughput == 0
    assert failed.errors == len(failed.replies) > 2  # it connected again after each


def test_an_open_loop_counts_the_waiting(port: int) -> None:
    calm = open_loop(Target(port, "/"), BODIES[:1], 20, 0.5)
    assert (len(calm.replies), calm.errors) == (10, 0)
    # One connection answers 1 / SERVICE a second; at twice that rate the last request has waited for half of them.
    pressed = open_loop(Target(port, "/"), BODIES[:1], 2 / SERVICE, 0.5, most=1)
    assert pressed.errors == 0
    assert pressed.percentile(100) > 0.35 * 0.5 * 1000
    assert calm.percentile(50) < pressed.percentile(50)


def test_a_form_is_sent_where_a_server_wants_one() -> None:
    request = Target(1, "/", form="image").request(b"image")
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"Content-Type: multipart/form-data; boundary=" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'name="image"; filename="image.jpg"' in body
    assert b"\r\n\r\nimage\r\n--" in body


def test_several_processes_make_one_load(port: int) -> None:
    """Seven at once, of three processes; and a constant rate that they share."""
    with LoadProcesses(3) as processes:
        processes.closed_loop(Target(port, "/"), BODIES, 3, 0.1, 0.0)  # starts them
        sample = processes.closed_loop(Target(port, "/"), BODIES, 7, 1.0, 0.2)
        assert sample.errors == 0
        assert 0 < sample.throughput <= 7 / SERVICE
        assert {reply.body for reply in sample.replies} == {b"100", b"200000"}
        few = processes.closed_loop(Target(port, "/"), BODIES, 1, 0.5, 0.1)
        assert few.throughput <= 1 / SERVICE
        steady = processes.open_loop(Target(port, "/"), BODIES, 30.0, 1.0)
        assert len(steady.replies) == 30
        assert steady.errors == 0
        with pytest.raises(OSError, match="refused"):
            processes.closed_loop(Target(1, "/"), BODIES, 3, 0.1, 0.0)


@pytest.mark.parametrize(("cores", "gpus", "count"), [(2, 0, 1), (64, 0, 1), (2, 1, 1), (16, 1, 4), (224, 8, 8)])
def test_as_many_as_leave_the_server_its_cores(cores: int, gpus: int, count: int) -> None:
    assert processes_for(cores, gpus) == count
