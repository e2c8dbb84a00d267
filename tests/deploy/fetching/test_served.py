"""`serve --models`: archives of a file, a web server, an S3 store and a registry, and once more without these."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client import RestClient
from deploy.configuration import PROJECT
from deploy.models import Model
from deploy.ports import Ports, free_ports
from deploy.run_folder import server_of, stop
from tests.deploy.fetching.conftest import BUCKET, registry_in
from tests.deploy.fetching.test_registry import push
from tests.deploy.fetching.web_server import WebServer

pytestmark = pytest.mark.e2e
INPUTS: dict[str, Any] = {
    "tiny-policy": {"data": [0.1, 0.2, 0.3, 0.4]},
    "tiny-values": {"data": [0, 0]},
    "tiny-text": "Where is the station?",
    "tiny-topics": "Where is the station?",
}
ARCHIVES = [f"served-{name}.mar" for name in INPUTS]


@pytest.fixture
def archives(tiny_archive: Callable[[str], Path], tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """By names that no demo model has; the checkout's folder of fetched archives is left as it was."""
    store = Model("", "fetched").store
    yield {f"served-{name}.mar": tiny_archive(name).read_bytes() for name in INPUTS}
    for name in ARCHIVES:
        (store / name).unlink(missing_ok=True)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "run"
    stop(tmp_path / "run")


def serve(run: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    offset = free_ports(1)[0] - Ports().inference
    return subprocess.run(
        [sys.executable, "-m", "deploy", "serve", "--detach", f"--port-offset={offset}", *arguments],
        cwd=PROJECT,
        env={**os.environ, "BUNDLE_RUN": str(run), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def answers(run: Path) -> None:
    with RestClient(server_of(run)) as client:
        for name, given in INPUTS.items():
            assert client.predict(name, given).json()


def test_a_server_of_fetched_archives_starts_again_without_their_sources(
    archives: dict[str, bytes], run: Path, tmp_path: Path, web: WebServer, s3: Any
) -> None:
    on_disk, on_web, in_store, in_registry = ARCHIVES
    for name in (on_disk, in_registry):
        (tmp_path / name).write_bytes(archives[name])
    web.files[on_web] = archives[on_web]
    s3.put_object(Bucket=BUCKET, Key=in_store, Body=archives[in_store])
    (tmp_path / "registry").mkdir()
    with registry_in(tmp_path / "registry") as registry:
        urls = [
            f"file://{tmp_path / on_disk}",
            f"https://localhost:{web.port}/{on_web}",
            f"s3://{BUCKET}/{in_store}",
            push(registry, tmp_path, in_registry),
        ]
        pinned = [
            f"--models={url}#sha256={hashlib.sha256(archives[name]).hexdigest()}"
            for url, name in zip(urls, ARCHIVES, strict=True)
        ]
        done = serve(run, *pinned, REQUESTS_CA_BUNDLE=str(web.ca_file))
        assert done.returncode == 0, done.stdout + done.stderr
        answers(run)
    assert stop(run)
    (tmp_path / on_disk).unlink()
    asked = len(web.asked)
    done = serve(run, *pinned, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout + done.stderr
    answers(run)
    assert len(web.asked) == asked


def test_what_cannot_be_fetched_starts_nothing(archives: dict[str, bytes], run: Path, tmp_path: Path) -> None:
    name = ARCHIVES[0]
    (tmp_path / name).write_bytes(archives[name])
    right = hashlib.sha256(archives[name]).hexdigest()
    wrong = "0" * 64
    for arguments, said in (
        ([f"--models=file://{tmp_path / name}#sha256={wrong}"], f"has the SHA-256 {right}; wanted {wrong}"),
        ([f"--models=file://{tmp_path}/none.mar#sha256={right}"], "is not there"),
        ([f"--models=file://{tmp_path / name}"], "wanted #sha256="),
        ([f"--models=file://{tmp_path / name}#sha256={right}", "imagenet"], "got imagenet as well"),
        ([f"--models=file://{tmp_path / name}#sha256={right}", "--train"], "got --train as well"),
    ):
        done = serve(run, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        *progress, line = done.stderr.splitlines()
        assert all(each.startswith(f"{name}: ") for each in progress)
        assert line.startswith("serve: ")
        assert said in line
    assert not run.exists()
    store = Model("", "fetched").store
    assert not store.exists() or not [path for path in store.iterdir() if name in path.name]
