"""Envoy from its wheel, without containers, before a real TorchServe."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from client import Server
from deploy.edge import clients, process
from deploy.ports import Ports
from deploy.readiness import load
from deploy.run_folder import public_server, state_of
from deploy.torchserve import TorchServe
from tests.deploy.edge.caller import EXPLAINED, MODELS, ORIGIN, SLOW, Caller


@pytest.fixture(scope="package")
def run(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a server with an edge; both end without a trace."""
    archives, folder = [tiny_archive(name) for name in (*MODELS, EXPLAINED)], tmp_path_factory.mktemp("edge")
    callers = folder / "secrets" / "clients.yaml"
    clients.ensure(callers)
    slow = f"  slow: {{key: {SLOW}, requests_per_second: 1, burst: 1}}\n"
    callers.write_text(f"{callers.read_text()}{slow}allowed_origins: [{ORIGIN}]\n")
    run, ports = folder / "run", Ports.free()
    with TorchServe(archives[0].parent, run, ports) as torchserve:
        load(run, archives, explain=[EXPLAINED])
        process.start(torchserve.run, ports, list(MODELS), folder / "secrets")
        keeper = psutil.Process((state_of(run) or {})["edge"]["pid"])
        family = [keeper, *keeper.children(recursive=True)]
        assert "envoy" in [member.name() for member in family]
        yield run
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    assert [path.name for path in run.iterdir()] == ["logs"]


@pytest.fixture
def server(run: Path) -> Server:
    return public_server(run)


@pytest.fixture
def caller(run: Path) -> Iterator[Caller]:
    made = Caller(run)
    yield made
    made.session.close()
    made.channel.close()
