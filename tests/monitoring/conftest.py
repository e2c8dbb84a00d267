"""A real TorchServe with three tiny models, its status server and an edge, scraped by a real Prometheus under load."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from client import ClientError, GrpcClient, RestClient
from client.payload import Payload
from deploy.ports import HOST, Ports, free_ports
from deploy.readiness import load
from deploy.status import Status
from deploy.surface.status_server import StatusServer
from deploy.torchserve import TorchServe
from tests.inputs import IMAGES, OBSERVATIONS, TEXTS, encoded
from tests.monitoring.binary import binary
from tests.monitoring.edge import Edge
from tests.monitoring.prometheus import Prometheus

# Model: a good input, a bad one and its code.
INPUTS: dict[str, tuple[Payload, Payload, int]] = {
    "tiny-image": (encoded(IMAGES[0]), encoded(IMAGES[0])[:400], 400),
    "tiny-text": (TEXTS[0], "x" * 501, 413),
    "tiny-policy": ({"data": OBSERVATIONS[0].tolist()}, {"data": [0.1, 0.2, 0.3]}, 422),
}
ROUNDS = 12


@dataclass
class World:
    torchserve: TorchServe
    prometheus: Prometheus
    rest: RestClient
    grpc: GrpcClient

    def load(self) -> None:
        """ROUNDS good and bad requests to each model over each protocol, REST through the edge, a few at a time."""

        def ask(model: str, payload: Payload, code: int) -> None:
            for client in (self.rest, self.grpc):
                try:
                    client.predict(model, payload)
                except ClientError as error:
                    if error.code != code:
                        raise

        with ThreadPoolExecutor(4) as pool:
            for _ in range(ROUNDS):
                asked = [
                    pool.submit(ask, model, payload, code)
                    for model, (good, bad, code) in INPUTS.items()
                    for payload in (good, bad)
                ]
                for each in asked:
                    each.result()


@pytest.fixture(scope="module")
def world(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All of it, after a load; Prometheus has looked at it before, between and after the requests."""
    binary("prometheus")  # before anything slow
    archives = [tiny_archive(name) for name in INPUTS]
    store, folder = archives[0].parent, tmp_path_factory.mktemp("monitoring")
    prometheus_port, *numbers = free_ports(10)
    ports = Ports(*numbers)
    status_port, edge_port, admin_port = ports.status, ports.edge, ports.edge_stats
    targets = {"torchserve": ports.metrics, "status": status_port, "edge": admin_port}
    with ExitStack() as stack:
        enter = stack.enter_context
        torchserve = enter(TorchServe(store, folder / "run", ports))
        load(torchserve.run, archives)
        status = Status(torchserve.server, store, list(INPUTS), torchserve.run)
        status.admit()
        exporter = StatusServer(status, HOST, ports)
        exporter.start()
        stack.callback(exporter.stop)
        enter(Edge(folder, edge_port, admin_port, ports.inference))
        addresses = {job: f"{HOST}:{port}" for job, port in targets.items()}
        prometheus = enter(Prometheus(folder, prometheus_port, addresses))
        assert prometheus.wait(lambda: len(prometheus.query("up == 1")) == 3, 30), prometheus.query("up")
        assert prometheus.wait(lambda: prometheus.query("bundle_ready == 1"), 30)
        edge = dataclasses.replace(torchserve.server, inference=f"http://{HOST}:{edge_port}")
        world = World(torchserve, prometheus, enter(RestClient(edge)), enter(GrpcClient(torchserve.server)))
        world.load()
        yield world
