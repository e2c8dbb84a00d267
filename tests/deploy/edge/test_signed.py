"""A server that takes signed archives alone: registered through the edge and past it, over both managements."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import GrpcManagement, InvalidInput, NotFound, RestClient, RestManagement, Server
from deploy.admission import admit
from deploy.edge import clients, process
from deploy.ports import Ports
from deploy.readiness import load
from deploy.run_folder import ADMITTED, public_server, server_of
from deploy.torchserve import TorchServe
from tests.deploy.edge.caller import OBSERVATION
from trust import signature
from trust.keys import PrivateKey

MODEL = "tiny-policy"
REFUSED = {
    "unsigned": r"unsigned\.mar is not signed: unsigned\.mar\.sig is missing",
    "altered": r"altered\.mar was altered after it was signed",
    "foreign": r"foreign\.mar is signed with the key [0-9a-f]{12}",
}


@pytest.fixture(scope="module")
def run(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One signed archive is served; others lie beside it."""
    folder = tmp_path_factory.mktemp("signed")
    source, key, stranger = folder / "source", PrivateKey.generate(), PrivateKey.generate()
    source.mkdir()
    key.write(folder / "team.pem", folder / "team.pub")
    signers = {f"{MODEL}.mar": key, "later.mar": key, "altered.mar": key, "foreign.mar": stranger, "unsigned.mar": None}
    for name, signer in signers.items():
        shutil.copyfile(tiny_archive(MODEL), source / name)
        if signer:
            signature.sign(source / name, signer)
    with (source / "altered.mar").open("ab") as file:
        file.write(b"!")
    clients.ensure(folder / "secrets" / clients.NAME)
    run, ports = folder / "run", Ports.free()
    admission = admit([source / f"{MODEL}.mar"], run / ADMITTED, folder / "team.pub")
    with TorchServe(admission.store, run, ports, admission=admission) as torchserve:
        load(torchserve.run, [admission.store / f"{MODEL}.mar"])
        process.start(torchserve.run, ports, [MODEL], folder / "secrets")
        yield run


Through = Callable[[Server], RestManagement | GrpcManagement]


@pytest.fixture(params=[RestManagement, GrpcManagement], ids=["REST", "gRPC"])
def through(request: pytest.FixtureRequest) -> Through:
    made: Through = request.param
    return made


def served(run: Path) -> dict[str, str]:
    with RestManagement(server_of(run)) as management:
        return {model.name: model.archive for model in management.list_models()}


@pytest.mark.e2e
@pytest.mark.parametrize("kind", REFUSED)
def test_the_edge_refuses_with_the_reason(run: Path, through: Through, kind: str) -> None:
    with through(public_server(run)) as management, pytest.raises(InvalidInput, match=REFUSED[kind]):
        management.register(f"{kind}.mar")
    assert served(run).keys() == {MODEL}


@pytest.mark.e2e
@pytest.mark.parametrize("kind", REFUSED)
def test_torchserve_itself_has_no_such_archive(run: Path, through: Through, kind: str) -> None:
    with through(server_of(run)) as management, pytest.raises(NotFound):
        management.register(f"{kind}.mar")
    assert served(run).keys() == {MODEL}


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["../source/unsigned.mar", "/etc/passwd", "file:///tmp/unsigned.mar"])
def test_an_address_that_leads_elsewhere(run: Path, through: Through, name: str) -> None:
    with through(public_server(run)) as management, pytest.raises(InvalidInput):
        management.register(name)
    assert served(run).keys() == {MODEL}


@pytest.mark.e2e
def test_a_signed_one_is_registered_and_answers(run: Path, through: Through) -> None:
    """And a file that takes its place afterwards does not: the copy that was hashed is what TorchServe reads."""
    source = run.parent / "source"
    with through(public_server(run)) as management, RestClient(public_server(run)) as client:
        management.register("later.mar", name="later")
        assert client.predict("later", OBSERVATION).json() == client.predict(MODEL, OBSERVATION).json()
        management.unregister("later")
        good = (source / "later.mar").read_bytes()
        (source / "later.mar").write_bytes(good + b"!")
        with pytest.raises(InvalidInput, match=r"later\.mar was altered after it was signed"):
            management.register("later.mar", name="later")
        assert (run / ADMITTED / "later.mar").read_bytes() == good
        (source / "later.mar").write_bytes(good)
    assert served(run).keys() == {MODEL}
