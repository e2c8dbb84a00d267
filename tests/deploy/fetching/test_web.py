"""Archives over TLS, by the command that an init container runs; connections that break."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.fetching.conftest import CONTENT, DIGEST, NAME, PIN, files, run, run_on_small_disk
from tests.deploy.fetching.web_server import WebServer


def command(web: WebServer, store: Path, *urls: str, trusted: bool = True) -> subprocess.CompletedProcess[str]:
    return run(store, *urls, **({"REQUESTS_CA_BUNDLE": str(web.ca_file)} if trusted else {}))


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_connections_are_tried_again(web: WebServer, store: Path, ranges: bool) -> None:
    web.breaks, web.ranges = 2, ranges
    done = command(web, store, f"{web.url}?token=secret-of-the-test{PIN}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{NAME}\n"
    assert (store / NAME).read_bytes() == CONTENT
    assert files(store) == [NAME]
    assert web.breaks == 0
    assert "secret-of-the-test" not in done.stdout + done.stderr


def test_a_server_that_nobody_vouches_for(web: WebServer, store: Path) -> None:
    web.breaks = 0
    done = command(web, store, f"{web.url}?token=secret-of-the-test{PIN}", trusted=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fetch: {web.url}?… cannot be fetched: ")
    assert "certificate verify failed" in done.stderr
    assert "secret-of-the-test" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_digest(web: WebServer, store: Path) -> None:
    done = command(web, store, f"{web.url}#sha256={'0' * 64}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"fetch: {web.url} has the SHA-256 {DIGEST}; wanted {'0' * 64}"
    assert files(store) == []


def test_what_has_no_end_fills_no_disk(web: WebServer, store: Path) -> None:
    web.endless = True
    done = run_on_small_disk(store, web.url + PIN, REQUESTS_CA_BUNDLE=str(web.ca_file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"fetch: {web.url}: the disk is full; {NAME} is incomplete"
