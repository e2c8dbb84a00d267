"""A server of its own: started, ended without a trace, and what it says when a model cannot be loaded."""

import dataclasses
import random
import shutil
import socket
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from client import RestClient, Unreachable
from deploy.errors import DeployError
from deploy.ports import HOST, Ports, free_ports
from deploy.processes import family
from deploy.readiness import load
from deploy.run_folder import running, state_of
from deploy.torchserve import TorchServe
from deploy.worker_environment import DRIFT_SHARE

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("share", ["much", "-0.1", "1.5", "nan", "0,5", ""])
def test_a_share_that_workers_cannot_keep_to(
    share: str, tiny_archive: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DRIFT_SHARE, share)
    with pytest.raises(DeployError, match=f"{DRIFT_SHARE}: got .* wanted a number from 0 to 1"):
        TorchServe(tiny_archive("tiny-policy").parent, tmp_path / "run", Ports.free()).start()


def test_it_ends_without_a_trace(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    archive = tiny_archive("tiny-policy")
    run, ports = tmp_path / "run", Ports.free()
    with TorchServe(archive.parent, run, ports) as torchserve:
        told: list[tuple[str, str]] = []
        ready = load(run, [archive], lambda name, state: told.append((name, state)))
        assert told == [("tiny-policy", "loading"), ("tiny-policy", "warming up"), ("tiny-policy", "ready")]
        assert ready["tiny-policy"] > 0
        process = running(run)
        assert process is not None
        members = family(state_of(run))
        assert len(members) == 4
        assert (run / "bytecode").stat().st_mode & 0o777 == 0o700
        [base] = Path((state_of(run) or {})["temporary"]).rglob("handlers/base.py")
        assert (run / "bytecode" / sha256(base.read_bytes()).hexdigest()).is_file()  # no other worker compiles it
        server = torchserve.server
        with pytest.raises(DeployError, match="already running"):
            TorchServe(archive.parent, run, ports).start()
        with RestClient(server) as client:
            assert client.predict("tiny-policy", {"data": [0, 0, 0, 0]}).json()["action"] in (0, 1)
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members)
    for number in dataclasses.astuple(ports):
        with socket.socket() as probe:
            assert probe.connect_ex((HOST, number)) != 0
    assert [path.name for path in run.iterdir()] == ["logs"]
    keyless = dataclasses.replace(server, key_file=None)
    with RestClient(keyless) as client, pytest.raises(Unreachable):
        client.predict("tiny-policy", {"data": [0, 0, 0, 0]})


def test_a_model_answers_while_the_archive_of_another_is_still_built(
    tiny_archive: Callable[[str], Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    archives = [store / "tiny-values.mar", store / "tiny-policy.mar"]
    shutil.copy(tiny_archive("tiny-policy"), archives[1])
    told: list[tuple[str, str]] = []

    with TorchServe(store, tmp_path / "run", Ports.free()) as torchserve, RestClient(torchserve.server) as client:

        def tell(name: str, state: str) -> None:
            told.append((name, state))
            if (name, state) == ("tiny-policy", "ready"):
                assert client.predict("tiny-policy", {"data": [0, 0, 0, 0]}).json()["action"] in (0, 1)
                shutil.copy(tiny_archive("tiny-values"), archives[0])

        ready = load(tmp_path / "run", archives, tell, built=Path.is_file)
        assert told == [
            ("tiny-values", "waiting for its archive"),
            *(("tiny-policy", state) for state in ("loading", "warming up", "ready")),
            *(("tiny-values", state) for state in ("loading", "warming up", "ready")),
        ]
        assert ready["tiny-policy"] < ready["tiny-values"]


def test_a_model_that_cannot_be_loaded(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    """The reason stands in the error at once; TorchServe itself would start the worker again and again."""
    broken = tmp_path / "broken.mar"
    with zipfile.ZipFile(tiny_archive("tiny-detection")) as whole, zipfile.ZipFile(broken, "w") as file:
        for entry in whole.infolist():
            data = whole.read(entry)
            file.writestr(entry, data[:100] if entry.filename.endswith(".safetensors") else data)
    with TorchServe(tmp_path, tmp_path / "run", Ports.free()):
        with pytest.raises(DeployError, match="tiny-detection cannot be loaded") as raised:
            load(tmp_path / "run", [broken])
        assert "weights.safetensors: is not safetensors" in str(raised.value), raised.value


def test_a_port_that_is_taken_meanwhile(tmp_path: Path) -> None:
    """Between our look at it and TorchServe's; it ends, and of all it writes about that the reason is reported."""
    server = TorchServe(tmp_path, tmp_path / "run", Ports.free())
    with server, socket.socket() as other:
        other.bind((HOST, server.ports.metrics))
        with pytest.raises(DeployError, match="Address already in use"):
            load(server.run, [])


def test_processes_that_were_seeded_alike_choose_different_ports() -> None:
    random.seed(0)
    first = free_ports(8)
    random.seed(0)
    assert not set(first) & set(free_ports(8))


def test_free_ports_are_out_of_reach_of_outgoing_connections() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.socket() as outgoing:
        outgoing.bind((HOST, 0))
        assert first <= outgoing.getsockname()[1] <= last
    assert not set(ports) & set(range(first, last + 1))
