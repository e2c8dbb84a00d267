"""One server with an edge, on which versions of a tiny policy come and go."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from archiver.archive import build
from archiver.package import resolve
from client import RestManagement, Server
from deploy.configuration import PROJECT
from deploy.edge import clients, process
from deploy.ports import Ports
from deploy.readiness import load
from deploy.run_folder import public_server
from deploy.torchserve import TorchServe
from deploy.versions.command import app

MODEL = "tiny-policy"


@dataclass
class Served:
    """folder: with archives that are not registered yet. settings: of the edge."""

    run: Path
    settings: Path
    folder: Path
    artifact: Path

    @property
    def server(self) -> Server:
        return public_server(self.run)

    @property
    def environment(self) -> dict[str, str]:
        return {"BUNDLE_RUN": str(self.run), "TORCHSERVE_SERVER_FILE": str(self.run / "server.json")}

    def archive(self, version: str, artifact: Path | None = None, **settings: Any) -> Path:
        """The policy as another version."""
        spec = self.folder / f"policy-{version}.yaml"
        values = {"name": MODEL, "artifact": str(artifact or self.artifact), "version": version, "workers": 1}
        spec.write_text(yaml.safe_dump({**values, "batch": {"size": 4, "delay_ms": 1}, "threads": 1, **settings}))
        built = build(resolve(spec, spec.parent), PROJECT / "handlers", self.folder / f"built-{version}").path
        return built.rename(self.folder / f"policy-{version}.mar")

    def faulty(self, version: str, handler: str) -> Path:
        """The policy with a handler of faulty.py."""
        code = Path(__file__).with_name("faulty.py")
        return self.archive(version, handler=f"faulty.{handler}", code=[str(code)])

    def deploy(self, *arguments: object) -> Result:
        """The command; its options for the edge's settings are added where it takes them."""
        more = () if "--fleet" in arguments or arguments[0] in ("logs", "compare") else ("--settings", self.settings)
        return CliRunner().invoke(app, [str(each) for each in (*arguments, *more)], env=self.environment)

    def done(self, *arguments: object) -> str:
        """The output of a command that succeeds."""
        result = self.deploy(*arguments)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        return result.output

    def versions(self) -> list[str]:
        with RestManagement(self.server) as management:
            return sorted(each.version for each in management.versions(MODEL))


@pytest.fixture(scope="package")
def served(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    tiny, folder = tiny_archive(MODEL), tmp_path_factory.mktemp("versions")
    store, settings = folder / "store", folder / "secrets"
    store.mkdir()
    (folder / "new").mkdir()
    callers = clients.ensure(settings / clients.NAME)
    rates = {
        name: {"key": each.key, "admin": each.admin, "requests_per_second": 5000, "burst": 5000}
        for name, each in callers.clients.items()
    }
    (settings / clients.NAME).write_text(yaml.safe_dump({"clients": rates}))
    shutil.copy(tiny, store)
    ports = Ports.free()
    with TorchServe(store, folder / "run", ports) as torchserve:
        load(torchserve.run, [store / tiny.name])
        process.start(torchserve.run, ports, [MODEL], settings)
        yield Served(torchserve.run, settings, folder / "new", tiny.parent.parent / MODEL / "artifact")
