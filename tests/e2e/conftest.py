"""One real TorchServe for these tests, with a tiny model of every task."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import GrpcClient, GrpcManagement, RestClient, RestManagement
from client.explanations import explainer_of
from client.management import Management
from deploy.ports import HOST, Ports
from deploy.readiness import load
from deploy.status import Status
from deploy.surface.status_server import StatusServer
from deploy.torchserve import TorchServe
from tests.e2e.described import described
from tests.tiny_artifacts import TINY

# With workers for their explanations.
EXPLAINED = ("tiny-image", "tiny-topics")
Predict = RestClient | GrpcClient


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package")
def torchserve(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """The running server; at the end no worker may have died, whatever the tests sent."""
    archives = [tiny_archive(name) for name in TINY]
    store = archives[0].parent
    with TorchServe(store, tmp_path_factory.mktemp("run"), Ports.free()) as server:
        load(server.run, archives, explain=EXPLAINED)
        before = workers_of(server)
        yield server
        assert workers_of(server) == before, "a worker died during the tests"


def workers_of(server: TorchServe) -> dict[str, list[int]]:
    """Model → process ids of its workers."""
    with RestManagement(server.server) as management:
        return {
            name: sorted(worker.pid for worker in management.describe(name).workers)
            for name in (*TINY, *map(explainer_of, EXPLAINED))
        }


@pytest.fixture(scope="package", params=["REST", "gRPC"])
def client(
    request: pytest.FixtureRequest, torchserve: TorchServe, tiny_archive: Callable[[str], Path]
) -> Iterator[Predict]:
    with described(RestClient if request.param == "REST" else GrpcClient, torchserve, tiny_archive) as made:
        yield made


@pytest.fixture(scope="package")
def rest(torchserve: TorchServe) -> Iterator[RestClient]:
    with RestClient(torchserve.server) as made:
        yield made


@pytest.fixture(scope="module")
def ports(torchserve: TorchServe) -> Iterator[Ports]:
    """Those of the server, whose status and gRPC service of KServe's protocol run here."""
    status = Status(torchserve.server, torchserve.store, list(TINY))
    status.look()
    status.admit()
    server = StatusServer(status, HOST, torchserve.ports)
    server.start()
    yield torchserve.ports
    server.stop()


@pytest.fixture(scope="package", params=["REST", "gRPC"])
def management(request: pytest.FixtureRequest, torchserve: TorchServe) -> Iterator[Management]:
    with (RestManagement if request.param == "REST" else GrpcManagement)(torchserve.server) as made:
        yield made
