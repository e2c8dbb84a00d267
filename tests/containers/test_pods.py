"""Two of the chart's server pods behind its edge pod, on a Docker engine: one is replaced under load."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import yaml

from deploy.edge import certificate, clients
from tests.containers.pod import NETWORK, EdgePod, ServerPod, docker, uid_of
from tests.containers.stack import engine_answers

IMAGE = "torchserve-bundle/server:0.1.0"
PATH = "/predictions/tiny-policy"


@pytest.fixture(scope="module")
def folders(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store and a Secret's folder, which user 10001 can read."""
    base = tmp_path_factory.mktemp("pods")
    for folder in (base, *base.parents):
        if folder.owner() == Path.home().owner() and folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o005)
    store, settings = base / "store", base / "settings"
    store.mkdir()
    shutil.copy(tiny_archive("tiny-policy"), store)
    clients.ensure(settings / clients.NAME)
    certificate.ensure(settings, ["localhost"])
    for path in settings.iterdir():
        path.chmod(0o444)
    return store, settings


@pytest.fixture(scope="module")
def pods(folders: tuple[Path, Path]) -> Iterator[tuple[list[ServerPod], EdgePod]]:
    if not engine_answers():
        pytest.skip("no Docker engine answers; ./.ci/engine up makes one on Debian")
    docker("build", "-q", "-f", "docker/Dockerfile", "--target", "server", "-t", IMAGE, ".", timeout=900)
    store, settings = folders
    docker("network", "create", NETWORK)
    servers: list[ServerPod] = []
    edges: list[EdgePod] = []
    try:
        servers += [ServerPod(store, IMAGE), ServerPod(store, IMAGE)]
        edges.append(EdgePod(settings, IMAGE))
        for server in servers:
            server.wait_started()
        time.sleep(4)  # the edge looks up the servers every other second, and asks them every one
        yield servers, edges[0]
    finally:
        pods: list[ServerPod | EdgePod] = [*servers, *edges]
        for pod in pods:
            pod.remove()
        docker("network", "rm", NETWORK)


def key_in(folder: Path) -> str:
    return str(yaml.safe_load((folder / clients.NAME).read_text())["clients"]["default"]["key"])


class Load(threading.Thread):
    """Requests one after the other, each on the same connection, until it is to end."""

    def __init__(self, address: str, key: str, codes: Counter[str]) -> None:
        super().__init__()
        self.url, self.key, self.codes = f"https://{address}:8443{PATH}", key, codes
        self.ended = threading.Event()

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        body = '{"data": [0.1, 0.2, 0.3, 0.4]}'
        with requests.Session() as session:
            while not self.ended.wait(0.02):
                try:
                    answer = session.post(self.url, data=body, headers=headers, verify=False, timeout=30)
                    self.codes[str(answer.status_code)] += 1
                except requests.RequestException as error:
                    self.codes[type(error).__name__] += 1


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_server_is_replaced_under_load(pods: tuple[list[ServerPod], EdgePod], folders: tuple[Path, Path]) -> None:
    """As a rollout does it: one more, which has to be ready, then one less, by preStop and SIGTERM."""
    servers, edge = pods
    codes: Counter[str] = Counter()
    loads = [Load(edge.address, key_in(folders[1]), codes) for _ in range(4)]
    for load in loads:
        load.start()
    try:
        servers.append(ServerPod(folders[0], IMAGE))
        servers[-1].wait_started()
        assert servers[-1].probe("readinessProbe")
        assert servers[0].probe("livenessProbe")
        status = servers[0].end()
        time.sleep(2)
    finally:
        for load in loads:
            load.ended.set()
        for load in loads:
            load.join()
    assert status == 0, docker("logs", "--tail", "20", servers[0].id)
    assert not servers[0].probe("readinessProbe")
    assert codes.keys() == {"200"}, codes
    assert codes["200"] > 100


def test_the_processes_are_what_the_security_context_says(pods: tuple[list[ServerPod], EdgePod]) -> None:
    servers, edge = pods
    for container in (servers[1].id, *edge.ids):
        found = uid_of(container)
        assert set(found["Uid"]) == {"10001"}
        assert set(found["Gid"]) == {"10001"}
        assert int(found["CapEff"][0], 16) == int(found["CapBnd"][0], 16) == 0
        assert found["NoNewPrivs"] == ["1"]
        assert found["Seccomp"] == ["2"]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_an_edge_that_is_to_end_asks_callers_to_connect_elsewhere(
    pods: tuple[list[ServerPod], EdgePod], folders: tuple[Path, Path]
) -> None:
    _, edge = pods
    url, headers = f"https://{edge.address}:8443{PATH}", {"Authorization": f"Bearer {key_in(folders[1])}"}
    stopping = edge.pre_stop()
    try:
        time.sleep(4)
        answer = requests.post(url, json={"data": [0.1, 0.2, 0.3, 0.4]}, headers=headers, verify=False, timeout=30)  # noqa: S501
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    finally:
        stopping.kill()
        stopping.wait()
