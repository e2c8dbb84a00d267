"""A server of its own: started, ended without a trace, and what it says when a model cannot be loaded."""

import dataclasses
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from client import RestClient, Unreachable
from deploy.errors import DeployError
from deploy.ports import HOST
from deploy.readiness import load
from deploy.torchserve import TorchServe, running
from tests.ports import free_ports

pytestmark = pytest.mark.e2e


def test_it_ends_without_a_trace(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    archive = tiny_archive("tiny-policy")
    run, ports = tmp_path / "run", free_ports()
    with TorchServe(archive.parent, run, ports) as torchserve:
        told: list[tuple[str, str]] = []
        ready = load(run, [archive], lambda name, state: told.append((name, state)))
        assert told == [("tiny-policy", "loading"), ("tiny-policy", "warming up"), ("tiny-policy", "ready")]
        assert ready["tiny-policy"] > 0
        process = running(run)
        assert process is not None
        family = [process, *process.children(recursive=True)]
        assert len(family) == 2
        server = torchserve.server
        with pytest.raises(DeployError, match="already running"):
            TorchServe(archive.parent, run, ports).start()
        with RestClient(server) as client:
            assert client.predict("tiny-policy", {"data": [0, 0, 0, 0]}).json()["action"] in (0, 1)
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    for number in dataclasses.astuple(ports):
        with socket.socket() as probe:
            assert probe.connect_ex((HOST, number)) != 0
    assert [path.name for path in run.iterdir()] == ["logs"]
    keyless = dataclasses.replace(server, key_file=None)
    with RestClient(keyless) as client, pytest.raises(Unreachable):
        client.predict("tiny-policy", {"data": [0, 0, 0, 0]})


def test_a_model_that_cannot_be_loaded(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    """The reason stands in the error at once; TorchServe itself would start the worker again and again."""
    broken = tmp_path / "broken.mar"
    with zipfile.ZipFile(tiny_archive("tiny-detection")) as whole, zipfile.ZipFile(broken, "w") as file:
        for entry in whole.infolist():
            data = whole.read(entry)
            file.writestr(entry, data[:100] if entry.filename.endswith(".safetensors") else data)
    with TorchServe(tmp_path, tmp_path / "run", free_ports()):
        with pytest.raises(DeployError, match="tiny-detection cannot be loaded") as raised:
            load(tmp_path / "run", [broken])
        assert "SafetensorError" in str(raised.value)
