"""Servers that lead elsewhere, break off, hesitate, refuse or lie: each is said in a line, within a bounded time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.fetching import download
from deploy.fetching.download import fetch, put_signature
from deploy.fetching.source import Source
from tests.deploy.fetching.conftest import CONTENT, DIGEST, NAME, PIN, Progress, files, partial_of
from tests.deploy.fetching.web_server import WebServer
from trust import signature
from trust.keys import PrivateKey

Odd = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def in_this_process(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(web.ca_file))
    monkeypatch.setattr(download, "PAUSE", 0.0)


def fetched(server: WebServer, store: Path, odd: Odd, query: str = "") -> Path:
    server.odd[NAME] = odd
    return fetch(Source.parse(f"{server.url}{query}{PIN}"), store, Progress())


def answer(handler: BaseHTTPRequestHandler, status: int, content: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Content-Length": str(len(content)), **given}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("file:///etc/passwd", "leads to an address that is not one of https://"),
        ("http://localhost/x.mar", "leads to an address that is not one of https://"),
        ("ftp://localhost/x.mar", "leads to an address that is not one of https://"),
        ("https://[", "is answered with headers that cannot be read"),
        ("https://:1:2/", "is answered with headers that cannot be read"),
    ],
)
def test_it_is_not_followed_away_from_tls(web: WebServer, store: Path, address: str, said: str) -> None:
    with pytest.raises(DeployError, match=f"{NAME} {said}"):
        fetched(web, store, lambda handler: answer(handler, 302, Location=address))
    assert web.asked == [""]


def test_a_redirection_that_goes_in_circles_is_followed_once(web: WebServer, store: Path) -> None:
    with pytest.raises(DeployError, match="leads from one address to another"):
        fetched(web, store, lambda handler: answer(handler, 302, Location=handler.path))
    assert len(web.asked) < 40


def test_a_redirection_over_tls_is_followed(web: WebServer, store: Path) -> None:
    web.files["elsewhere"] = CONTENT
    assert fetched(web, store, lambda handler: answer(handler, 307, Location="/elsewhere")).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [400, 401, 403, 410])
def test_an_expired_address_is_said_at_once_and_without_its_secret(web: WebServer, store: Path, status: int) -> None:
    """S3 and Azure answer 403 then, Google 400."""
    with pytest.raises(DeployError, match="the signature in the address may have expired") as raised:
        fetched(web, store, lambda handler: answer(handler, status, b"ExpiredToken"), "?X-Goog-Signature=secret'1")
    assert len(web.asked) == 1
    assert "secret" not in str(raised.value)
    assert not store.exists()


@pytest.mark.parametrize("status", [408, 429, 503])
def test_what_may_pass_is_asked_again(web: WebServer, store: Path, status: int) -> None:
    left = [status, status]

    def busy(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, left.pop()) if left else answer(handler, 200, CONTENT)

    assert fetched(web, store, busy).read_bytes() == CONTENT


def signed_address(handler: BaseHTTPRequestHandler) -> None:
    """As an object store has it: the query is good for this file alone."""
    path, _, query = handler.path.partition("?")
    good = (path, query) == (f"/{NAME}", "X-Amz-Signature=secret")
    answer(handler, *((200, CONTENT) if good else (403, b"SignatureDoesNotMatch")))


def test_a_signed_address_is_of_the_archive_alone(web: WebServer, store: Path) -> None:
    web.odd[f"{NAME}.sig"] = signed_address
    assert fetched(web, store, signed_address, "?X-Amz-Signature=secret").read_bytes() == CONTENT
    assert files(store) == [NAME]
    source = Source.parse(f"{web.url}?X-Amz-Signature=secret{PIN}")
    with pytest.raises(DeployError, match=r"\.sig is missing, or may not be read"):
        fetch(source, store, Progress(), [PrivateKey.generate().public])


def ranges(handler: BaseHTTPRequestHandler, most: int) -> None:
    """A server that breaks off after so many bytes each time."""
    asked = handler.headers.get("Range", "")
    first = int(asked.removeprefix("bytes=").removesuffix("-") or 0)
    handler.send_response(206 if asked else 200)
    handler.send_header("Content-Length", str(len(CONTENT) - first))
    handler.end_headers()
    handler.wfile.write(CONTENT[first : first + most])


def test_no_byte_is_asked_for_twice_however_often_it_breaks(web: WebServer, store: Path) -> None:
    """In parts whose sizes are not multiples of a block's."""
    most = len(CONTENT) // 4 + 1000
    assert fetched(web, store, lambda handler: ranges(handler, most)).read_bytes() == CONTENT
    firsts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in web.asked if asked]
    assert firsts == [most, 2 * most, 3 * most]


def test_one_that_breaks_too_often_is_given_up_and_gone_on_with_later(web: WebServer, store: Path) -> None:
    most = len(CONTENT) // 6
    with pytest.raises(DeployError, match="cannot be fetched: "):
        fetched(web, store, lambda handler: ranges(handler, most))
    [left] = files(store)
    assert (store / left).stat().st_size == 5 * most
    assert left == f".{NAME}.{DIGEST[:16]}.partial"
    assert fetched(web, store, lambda handler: ranges(handler, most)).read_bytes() == CONTENT
    assert files(store) == [NAME]


def test_a_server_from_which_almost_nothing_comes_is_given_up(
    web: WebServer, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.fetching.web.SILENCE", 2.0)  # a wait of a busy machine is no silence

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        for _ in range(600):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(DeployError, match=r"\d+ bytes came in 2 s"):
        fetched(web, store, trickle)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("status", [200, 206])
def test_a_length_that_no_disk_holds(web: WebServer, store: Path, status: int) -> None:
    with pytest.raises(DeployError, match=r"needs \d+ more bytes of disk"):
        fetched(web, store, lambda handler: answer(handler, status, Content_Length=str(10 << 50)))
    assert files(store) == []


def test_a_length_that_is_not_true(web: WebServer, store: Path) -> None:
    """10 GB are announced, and a few bytes come each time."""
    web.odd[NAME] = lambda handler: answer(handler, 200, b"few", Content_Length=str(10 << 30))
    with pytest.raises(DeployError, match=r"cannot be fetched: |more bytes of disk"):
        fetch(Source.parse(web.url + PIN), store, Progress())
    assert all(name.endswith(".partial") for name in files(store))


def test_an_encoding_that_was_not_asked_for(web: WebServer, store: Path) -> None:
    with pytest.raises(DeployError, match="is sent in the encoding 'gzip'"):
        fetched(web, store, lambda handler: answer(handler, 200, b"x", Content_Encoding="gzip"))


def without_length(handler: BaseHTTPRequestHandler) -> None:
    first = int(handler.headers.get("Range", "").removeprefix("bytes=").removesuffix("-") or 0)
    if first >= len(CONTENT):
        answer(handler, 416)
        return
    handler.send_response(206 if first else 200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(first, len(CONTENT), 1 << 20):
        block = CONTENT[start : start + (1 << 20)]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
    handler.wfile.write(b"0\r\n\r\n")


@pytest.mark.parametrize("length", [0, 9 << 20, len(CONTENT)])
def test_a_server_that_says_no_length(web: WebServer, store: Path, length: int) -> None:
    """With all of it there, the server has nothing from that byte on."""
    partial_of(store, CONTENT[:length])
    assert fetched(web, store, without_length).read_bytes() == CONTENT
    assert files(store) == [NAME]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_stopped_in_the_middle(web: WebServer, store: Path, number: signal.Signals) -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[: 5 << 20])
        time.sleep(30)

    web.odd[NAME] = half
    command = [sys.executable, "-m", "deploy.fetching", web.url + PIN, "--store", str(store)]
    process = subprocess.Popen(command, cwd=PROJECT, env=os.environ, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (store.exists() and any(path.stat().st_size for path in store.iterdir())):
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "fetch: stopped; the next call goes on from here"
    assert "Traceback" not in said
    [left] = store.iterdir()
    assert left.name == f".{NAME}.{DIGEST[:16]}.partial"
    there = left.read_bytes()
    assert there
    assert CONTENT.startswith(there)
    del web.odd[NAME]
    assert fetch(Source.parse(web.url + PIN), store, Progress()).read_bytes() == CONTENT
    assert web.asked[-1] == f"bytes={len(there)}-"


def test_the_signature_of_an_earlier_archive_goes_with_it(web: WebServer, store: Path) -> None:
    store.mkdir()
    (store / NAME).write_bytes(b"the one before")
    signature.sign(store / NAME, PrivateKey.generate())
    fetch(Source.parse(web.url + PIN), store, Progress())
    assert files(store) == [NAME]


def test_a_signature_is_not_written_through_a_link(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "model.mar.sig"
    victim.write_text("mine")
    path.with_name(f".{path.name}.partial").symlink_to(victim)
    put_signature(path, b"proof", fresh=True)
    assert (path.read_bytes(), victim.read_text(), path.is_symlink()) == (b"proof", "mine", False)
