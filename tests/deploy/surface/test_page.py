"""The page's files, and calls that it makes of a server on loopback."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from client.server import Server
from deploy.edge.limits import MAX_REQUEST
from deploy.ports import HOST, Ports
from deploy.status import Status
from deploy.surface.page_files import FOLDER
from deploy.surface.relay import AT_ONCE
from deploy.surface.same_site import is_loopback
from deploy.surface.status_server import StatusServer
from tests.deploy.surface.noted_calls import TorchServe

MAX_PAGE = 300_000  # bytes


@pytest.fixture(scope="module")
def torchserve() -> Iterator[TorchServe]:
    made = TorchServe()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def base(torchserve: TorchServe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a status server on loopback that has no models."""
    ports = Ports.free()
    server = StatusServer(Status(Server(inference=torchserve.url), tmp_path_factory.mktemp("store"), []), HOST, ports)
    server.start()
    yield f"http://{HOST}:{ports.status}"
    server.stop()


def test_the_page_is_small_and_needs_nothing_from_elsewhere() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < MAX_PAGE
    index = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert "<style" not in index
    assert "://" not in index
    assert index.count("<script") == index.count('src="./assets/') == 1


def test_its_policy_lets_nothing_else_in(base: str) -> None:
    answer = requests.get(f"{base}/page", timeout=10)
    assert answer.url == f"{base}/page/"
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_files_whose_names_have_hashes_are_kept_for_good(base: str) -> None:
    for path in FOLDER.glob("assets/*"):
        answer = requests.get(f"{base}/page/assets/{path.name}", timeout=10)
        assert answer.content == path.read_bytes()
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", [
    "/page/index.js", "/page/../http.py", "/page/%2e%2e/http.py", "/page/assets/", "/page//etc/passwd", "/pages/",
])  # fmt: skip
def test_there_is_nothing_else(base: str, path: str) -> None:
    assert status_of(base, "GET", path) == 404


@pytest.mark.parametrize(("path", "expected"), [("/page/", 421), ("/cards", 421), ("/v2", 421), ("/readyz", 503)])
def test_a_name_of_somebody_elses_leads_nowhere(base: str, path: str, expected: int) -> None:
    """DNS rebinding: the browser believes that it asks that host. Who starts a server may call it as he likes."""
    assert status_of(base, "GET", path, Host="evil.example:9100") == expected
    assert status_of(base, "GET", path, Host="[::1") == expected


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
])  # fmt: skip
def test_a_page_of_another_site_cannot_ask_a_model(base: str, torchserve: TorchServe, headers: dict[str, str]) -> None:
    before = len(torchserve.calls)
    assert status_of(base, "POST", "/predictions/m", b"{}", **headers) in (403, 421)
    assert len(torchserve.calls) == before


def test_a_call_is_passed_on(base: str, torchserve: TorchServe) -> None:
    headers = {"Authorization": "Bearer k", "Content-Type": "image/png", "Accept": "image/png", "describe": "true"}
    more = {"Origin": base, "Sec-Fetch-Site": "same-origin", "X-Request-Timeout": "5", "Cookie": "c=d"}
    answer = requests.post(f"{base}/predictions/m/1.0?top_k=3", data=b"\x89PNG", headers=headers | more, timeout=10)
    path, sent, body = torchserve.calls[-1]
    assert (path, body) == ("/predictions/m/1.0", b"\x89PNG")
    assert {sent[name] for name in ("authorization", "content-type", "accept")} == {"Bearer k", "image/png"}
    assert sent["x-parameters"] == "top_k=3"
    assert float(sent["x-request-deadline"]) > 0
    assert not {"describe", "cookie", "origin"} & sent.keys()
    assert (answer.status_code, answer.content) == (200, b"one\ntwo\n")
    assert answer.headers["Server-Timing"] == "inference;dur=1.50"
    assert "Set-Cookie" not in answer.headers
    refused = requests.post(f"{base}/predictions/refused", data=b"x", timeout=10)
    assert refused.status_code == 400


@pytest.mark.parametrize(("path", "expected"), [
    ("/explanations/m", "/explanations/m.explain"),
    ("/explanations/m/1.0", "/explanations/m.explain/1.0"),
    ("/explanations/m.explain/1.0", "/explanations/m.explain/1.0"),
    ("/v2/models/m/infer", "/v2/models/m/infer"),
])  # fmt: skip
def test_where_it_goes(base: str, torchserve: TorchServe, path: str, expected: str) -> None:
    assert requests.post(base + path, data=b"x", timeout=10).status_code == 200
    assert torchserve.calls[-1][0] == expected


@pytest.mark.parametrize(
    "path", ["/models/m", "/predictions/", "/predictions/a/b/c", "/predictions/..", "/v2/models/m"]
)
def test_nothing_but_calls_of_models_is_passed_on(base: str, torchserve: TorchServe, path: str) -> None:
    before = len(torchserve.calls)
    assert status_of(base, "POST", path, b"{}") == 404
    assert len(torchserve.calls) == before


def test_pieces_arrive_as_they_are_written(base: str, torchserve: TorchServe) -> None:
    with requests.post(f"{base}/predictions/slow", data=b"x", stream=True, timeout=10) as answer:
        assert answer.raw.read1() == b"one\n"
        torchserve.may_end.set()
        assert answer.raw.read() == b"two\n"


def test_bodies_are_bounded(base: str, torchserve: TorchServe) -> None:
    before = len(torchserve.calls)
    large = requests.post(f"{base}/predictions/m", data=bytes(MAX_REQUEST + 1), timeout=30)
    assert (large.status_code, large.json()["type"]) == (413, "TooLarge")
    chunked = requests.post(f"{base}/predictions/m", data=iter([b"x"]), timeout=10)
    assert (chunked.status_code, chunked.json()["type"]) == (411, "LengthRequired")
    for length in ("-1", "9" * 30, "x"):
        assert status_of(base, "POST", "/predictions/m", b"", **{"Content-Length": length}) == 411
    assert len(torchserve.calls) == before


@pytest.mark.parametrize("path", ["/readyz", "/v1/models", "/nosuch", "/page/"])
def test_a_body_that_nobody_wants_does_not_cost_the_answer(base: str, path: str) -> None:
    """As an edge passes on a GET with a body: closed with bytes unread, a connection is reset."""
    target = urlsplit(base)
    head = f"GET {path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Length: {4 << 20}\r\n\r\n"
    for _ in range(10):
        with socket.create_connection((target.hostname or "", target.port or 0), timeout=10) as connection:
            connection.sendall(head.encode() + bytes(4 << 20))
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert answer.startswith(b"HTTP/1.0 ")
        assert len(answer.partition(b"\r\n\r\n")[2]) > 0


def test_calls_are_counted(base: str, torchserve: TorchServe) -> None:
    torchserve.may_end.clear()
    began = len(torchserve.calls)

    def call_once_there_is_room() -> None:
        """A call of the last test may still be counted."""
        while status_of(base, "POST", "/predictions/slow", b"x") == 503:
            time.sleep(0.05)

    calls = [threading.Thread(target=call_once_there_is_room, daemon=True) for _ in range(AT_ONCE)]
    for call in calls:
        call.start()
    end = time.monotonic() + 20
    while len(torchserve.calls) < began + AT_ONCE:
        assert time.monotonic() < end
        time.sleep(0.01)
    refused = requests.post(f"{base}/predictions/m", data=b"x", timeout=10)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    torchserve.may_end.set()
    for call in calls:
        call.join()
    assert requests.post(f"{base}/predictions/m", data=b"x", timeout=10).status_code == 200


def test_a_torchserve_that_is_gone_is_503(tmp_path: Path) -> None:
    ports = Ports.free()
    gone = Server(inference=f"http://{HOST}:{ports.inference}")
    server = StatusServer(Status(gone, tmp_path, []), HOST, ports)
    server.start()
    try:
        answer = requests.post(f"http://{HOST}:{ports.status}/predictions/m", data=b"x", timeout=10)
        assert (answer.status_code, answer.json()["type"]) == (503, "Unavailable")
    finally:
        server.stop()


def test_on_a_network_nothing_is_passed_on(torchserve: TorchServe, tmp_path: Path) -> None:
    """There TorchServe asks for no key: that is the edge's affair."""
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "server")] == [  # noqa: S104
        True, True, True, False, False, False,
    ]  # fmt: skip
    ports = Ports.free()
    server = StatusServer(Status(Server(inference=torchserve.url), tmp_path, []), "0.0.0.0", ports)  # noqa: S104
    server.start()
    try:
        base = f"http://{HOST}:{ports.status}"
        assert status_of(base, "POST", "/predictions/m", b"x") == 404
        assert status_of(base, "GET", "/page/", Host="server-1.models:9100") == 200
    finally:
        server.stop()


def status_of(base: str, method: str, path: str, body: bytes | None = None, **headers: Any) -> int:
    """Of a call whose path and headers are sent as they are."""
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    sent = ({"Content-Length": str(len(body))} if body is not None else {}) | headers
    for name, value in sent.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    code = connection.getresponse().status
    connection.close()
    return code
