"""The edge without containers: Envoy from its wheel before a real TorchServe."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests
from cryptography import x509

from client import Forbidden, GrpcClient, InvalidInput, RestClient, RestManagement, Server, Unauthorized
from deploy.edge import certificate, clients, process
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.readiness import load
from deploy.torchserve import TorchServe, public_server, state_of

MODELS = ("tiny-policy", "tiny-writer")
OBSERVATION = {"data": [0.1, 0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def run(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a server with an edge; both end without a trace."""
    archives, folder = [tiny_archive(name) for name in MODELS], tmp_path_factory.mktemp("edge")
    run, ports = folder / "run", Ports.free()
    with TorchServe(archives[0].parent, run, ports, token_minutes=10_000) as torchserve:
        load(run, archives)
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


@pytest.mark.e2e
@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_answers_and_errors_through_the_edge(server: Server, make: type[RestClient | GrpcClient]) -> None:
    with make(server) as client:
        assert client.predict("tiny-policy", OBSERVATION).json()["action"] in (0, 1)
        with pytest.raises(InvalidInput, match=r"shape \[1\]"):
            client.predict("tiny-policy", {"data": [1]})
    with make(dataclasses.replace(server, key_file=None)) as stranger, pytest.raises(Unauthorized):
        stranger.predict("tiny-policy", OBSERVATION)


@pytest.mark.e2e
@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_pieces_of_a_text_come_through_as_they_are_written(server: Server, make: type[RestClient | GrpcClient]) -> None:
    parameters = {"max_new_tokens": 60, "temperature": 1.0, "seed": 3}
    with make(server) as client:
        client.predict("tiny-writer", "once", parameters=parameters)
        for _ in range(5):  # on a busy machine they may all be there before we are called
            started = time.perf_counter()
            came = [time.perf_counter() - started for _ in client.stream("tiny-writer", "once", parameters=parameters)]
            assert len(came) > 10
            if came[0] < 0.8 * came[-1]:
                return
    pytest.fail(f"held back until the end: the first after {came[0]:.3f} s, the last after {came[-1]:.3f} s")


@pytest.mark.e2e
def test_management_is_for_admins(server: Server, run: Path, tmp_path: Path) -> None:
    with RestManagement(server) as admin:
        assert [model.name for model in admin.list_models()] == list(MODELS)
    keys = json.loads((run / "edge_keys.json").read_text())
    caller = tmp_path / "keys.json"
    caller.write_text(json.dumps(dict.fromkeys(keys, keys["inference"])))
    with RestManagement(dataclasses.replace(server, key_file=caller)) as client, pytest.raises(Forbidden):
        client.list_models()


@pytest.mark.e2e
def test_a_caller_cannot_pass_for_another(server: Server, run: Path) -> None:
    """The header that names the caller is the edge's own, whatever a request says."""
    keys = json.loads((run / "edge_keys.json").read_text())
    answer = requests.get(
        f"{server.management}/models",
        headers={"Authorization": f"Bearer {keys['inference']['key']}", "x-client": "admin"},
        verify=str(server.ca_file),
        timeout=10,
    )
    assert answer.status_code == 403
    assert answer.json()["type"] == "Forbidden"


@pytest.mark.e2e
def test_what_is_secret_is_its_owner_s_alone(run: Path) -> None:
    secret = [run / "edge_keys.json", run / "envoy.json"]
    secret += [run.parent / "secrets" / name for name in ("clients.yaml", "tls.key")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret)


def test_clients_are_made_once(tmp_path: Path) -> None:
    made = clients.ensure(tmp_path / "clients.yaml")
    assert clients.ensure(tmp_path / "clients.yaml") == made
    assert {name: client.admin for name, client in made.items()} == {"default": False, "admin": True}
    assert made["admin"].key not in repr(made)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clients: {a: {key: short}}", "clients.a.key"),
        ("clients: {}", "clients"),
        ("clients: {A B: {key: aaaaaaaaaaaaaaaaaaaaaaaa, rate: 3}}", "clients.A B"),
        ("clients: {a: {key: aaaaaaaaaaaaaaaaaaaaaaaa}, b: {key: aaaaaaaaaaaaaaaaaaaaaaaa}}", "the same key"),
        ("clients: [", "is not YAML"),
        ("", "clients.yaml"),
    ],
)
def test_a_wrong_clients_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(text)
    with pytest.raises(DeployError) as raised:
        clients.read(path)
    assert said in str(raised.value)
    assert "aaaaaaaa" not in str(raised.value)


def test_a_certificate_is_made_once_and_is_for_its_names(tmp_path: Path) -> None:
    certificate.ensure(tmp_path, ["localhost", "127.0.0.1"])
    data = (tmp_path / "tls.crt").read_bytes()
    names = x509.load_pem_x509_certificate(data).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    certificate.ensure(tmp_path, ["elsewhere"])
    assert (tmp_path / "tls.crt").read_bytes() == data
