"""The image is built and the stack brought up once for the test run, on whatever Docker engine there is."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import GrpcClient, RestClient, RestManagement, Server
from tests.containers.models import INPUTS
from tests.containers.stack import NAME, Stack, engine_answers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="package")
def stack(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two servers behind the edge."""
    if not engine_answers():
        message = "no Docker engine answers; ./.ci/engine up makes one on Debian"
        pytest.fail(message) if os.environ.get("REQUIRE_DOCKER") else pytest.skip(message)
    store = tmp_path_factory.mktemp("store")
    for name in INPUTS:
        shutil.copy(tiny_archive(name), store)
    for folder in (store, *store.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o005)  # the container's user is another
    made = Stack(tmp_path_factory.mktemp("stack"), store)
    made.compose("build", "server", "models")
    try:
        made.up(servers=2)
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans")
    left = [
        made.run("docker", kind, "ls", "-q", "--filter", f"name={NAME}") for kind in ("volume", "network", "container")
    ]
    assert left == ["", "", ""], "`docker compose down -v` left something"


@pytest.fixture
def server(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Server:
    """As a user's client finds the stack."""
    monkeypatch.setenv("TORCHSERVE_SERVER_FILE", str(stack.secrets / "server.json"))
    monkeypatch.delenv("TORCHSERVE_KEY_FILE", raising=False)
    return Server.find()


@pytest.fixture
def rest(server: Server) -> Iterator[RestClient]:
    with RestClient(server) as client:
        yield client


@pytest.fixture
def grpc(server: Server) -> Iterator[GrpcClient]:
    with GrpcClient(server) as client:
        yield client


@pytest.fixture
def management(server: Server) -> Iterator[RestManagement]:
    with RestManagement(server) as client:
        yield client
