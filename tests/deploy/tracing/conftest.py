"""A real server with an edge, both of which send their spans to a collector."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from client import Server
from deploy.edge import clients, process
from deploy.ports import Ports
from deploy.readiness import load
from deploy.run_folder import public_server, server_of
from deploy.torchserve import TorchServe
from tests.deploy.tracing.collector import Collector, collecting

MODELS, EXPLAINED = ("tiny-policy", "tiny-writer"), "tiny-topics"
CREDENTIAL = "known-to-the-collector"


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@dataclass
class Traced:
    run: Path
    collector: Collector

    @property
    def edge(self) -> Server:
        return public_server(self.run)

    @property
    def server(self) -> Server:
        return server_of(self.run)


@pytest.fixture(scope="package")
def traced(
    collector: Collector, tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traced]:
    archives, folder = [tiny_archive(name) for name in (*MODELS, EXPLAINED)], tmp_path_factory.mktemp("traced")
    settings = folder / "secrets" / clients.NAME
    made = clients.ensure(settings)
    rates = {"requests_per_second": 5000, "burst": 5000}
    callers = {name: {"key": each.key, "admin": each.admin, **rates} for name, each in made.clients.items()}
    settings.write_text(yaml.safe_dump({"clients": callers}))
    ports = Ports.free()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={CREDENTIAL}")
        with TorchServe(archives[0].parent, folder / "run", ports) as torchserve:
            load(torchserve.run, archives, explain=[EXPLAINED])
            process.start(torchserve.run, ports, list(MODELS), folder / "secrets")
            yield Traced(torchserve.run, collector)
