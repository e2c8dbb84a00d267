"""An archive, and servers that it is fetched from: one that speaks S3, an OCI registry, one over TLS."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from deploy.configuration import PROJECT
from deploy.ports import free_ports
from tests.deploy.fetching.web_server import WebServer, serving
from tests.monitoring.binary import binary

CONTENT = random.Random(0).randbytes(20 << 20)  # more than two blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PIN = f"#sha256={DIGEST}"
NAME = "tiny-model.mar"
BUCKET = "models"


@dataclass
class Progress:
    """Counts what is reported."""

    sizes: list[int] = field(default_factory=list)

    def __call__(self, name: str, done: int, size: int | None) -> None:
        assert name == NAME
        self.sizes.append(done)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def partial_of(store: Path, content: bytes) -> Path:
    """The file that an earlier call has left."""
    store.mkdir(exist_ok=True)
    path = store / f".{NAME}.{DIGEST[:16]}.partial"
    path.write_bytes(content)
    return path


def files(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir())


def run(store: Path, *urls: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command that an init container runs."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.fetching", *urls, "--store", store],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_on_small_disk(store: Path, url: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The same with a store of 8 MiB, on a file system of the command's own; what is left in it is printed last."""
    store.mkdir()
    fetching = f"{sys.executable} -m deploy.fetching --store {store} '{url}'"
    script = f"mount -t tmpfs -o size=8m tmpfs {store} && {fetching}; code=$?; ls -A {store}; exit $code"
    return subprocess.run(
        ["/usr/bin/unshare", "-rm", "sh", "-c", script],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="package")
def s3_server() -> Iterator[str]:
    [port] = free_ports(1)
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the bucket's store; credentials are where the AWS tools look for them."""
    for name, value in (
        ("AWS_ENDPOINT_URL", s3_server),
        ("AWS_ACCESS_KEY_ID", "key-of-the-test"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-the-test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=f"a/{NAME}", Body=CONTENT)
    return client


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of Debian's build of the CNCF's registry."""
    with registry_in(tmp_path_factory.mktemp("registry")) as address:
        yield address


@contextmanager
def registry_in(folder: Path, passwords: str = "") -> Iterator[str]:
    """passwords: of those who may use it, as Apache's htpasswd writes them; else everybody may."""
    [port] = free_ports(1)
    (folder / "passwords").write_text(passwords)
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
        + f"auth: {{htpasswd: {{realm: test, path: {folder / 'passwords'}}}}}\n"
        * bool(passwords)
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary("docker-registry", "docker-registry"), "serve", folder / "config.yml"], stdout=log, stderr=log
        )
    end = time.monotonic() + 30
    try:
        while time.monotonic() < end:
            with suppress(requests.RequestException):
                if requests.get(f"http://127.0.0.1:{port}/v2/", timeout=2).status_code in (200, 401):
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with serving(tmp_path / "tls", {NAME: CONTENT}) as made:
        yield made
