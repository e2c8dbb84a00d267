"""The image that fetches archives, as the init container of the chart's pod: its user, its mounts, its credentials."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.pod import docker, empty_dirs, pod, security
from tests.containers.stack import engine_answers
from tests.deploy.fetching.web_server import WebServer, serving

IMAGE, NAME = "torchserve-bundle/fetcher:0.1.0", "tiny-model.mar"
CONTENT = os.urandom(20 << 20)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def image() -> str:
    if not engine_answers():
        message = "no Docker engine answers; ./.ci/engine up makes one on Debian"
        pytest.fail(message) if os.environ.get("REQUIRE_DOCKER") else pytest.skip(message)
    docker("build", "-q", "-f", "docker/Dockerfile", "--target", "fetcher", "-t", IMAGE, ".", timeout=900)
    return IMAGE


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with serving(tmp_path / "tls", {NAME: CONTENT}) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """As an emptyDir: open to the pod's group."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == Path.home().owner() and folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o005)
    made = tmp_path / "store"
    made.mkdir()
    os.chown(made, 0, 10001)
    made.chmod(0o2770)
    return made


def fetch(image: str, store: Path, web: WebServer, sha256: str) -> subprocess.CompletedProcess[str]:
    """Run the init container. Its Secret has the authority of the web server, and a variable that names the file."""
    archives = [{"url": web.url, "sha256": sha256}]
    spec = pod("server", models={"fetch": {"archives": archives, "credentialsSecret": "store"}})
    [container] = spec["initContainers"]
    [mounted] = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "credentials"]
    assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
    credentials = web.ca_file.parent
    web.ca_file.chmod(0o444)
    mounts = empty_dirs(spec, container, {"models": str(store), "credentials": str(credentials)})
    options: list[Any] = ["--env", f"REQUESTS_CA_BUNDLE={mounted}/{web.ca_file.name}", "--network", "host"]
    limits = ["--memory", "1g", "--cpus", str(container["resources"]["limits"]["cpu"])]
    command = ["/usr/bin/docker", "run", "--rm", *security(spec, container), *mounts, *limits, *options]
    return subprocess.run(
        [*command, image, *container["args"]], capture_output=True, text=True, timeout=300, check=False
    )


def test_it_fills_the_pod_s_store_and_does_nothing_the_second_time(image: str, store: Path, web: WebServer) -> None:
    web.breaks = 1
    done = fetch(image, store, web, DIGEST)
    assert (done.returncode, done.stdout) == (0, f"{NAME}\n"), done.stderr
    [found] = store.iterdir()
    assert found.read_bytes() == CONTENT
    state = found.stat()
    assert (found.name, state.st_uid, state.st_mode & 0o777) == (NAME, 10001, 0o644)
    asked = len(web.asked)
    assert fetch(image, store, web, DIGEST).returncode == 0
    assert len(web.asked) == asked


def test_what_is_not_the_pinned_one_keeps_the_server_from_starting(image: str, store: Path, web: WebServer) -> None:
    done = fetch(image, store, web, "0" * 64)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"fetch: {web.url} has the SHA-256 {DIGEST}; wanted {'0' * 64}"
    assert list(store.iterdir()) == []
