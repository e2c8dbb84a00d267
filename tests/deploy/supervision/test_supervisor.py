"""A server that is kept running: TorchServe killed, its thread of a worker ended by a caller, a worker stopped."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from client import ClientError, GrpcClient, GrpcManagement, InvalidInput, NotFound, RestClient, RestManagement
from client.credentials import Credentials
from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from deploy.admission import admit
from deploy.edge.process import start as start_edge
from deploy.errors import DeployError
from deploy.overview.look import look
from deploy.ports import Ports
from deploy.processes import alive, family
from deploy.readiness import load
from deploy.run_folder import ADMITTED, public_server, running, server_of, state_of, stop
from deploy.status import Status
from deploy.supervision.process import SupervisorProcess
from deploy.supervision.record import Record
from deploy.torchserve import TorchServe
from trust import signature
from trust.keys import PrivateKey

pytestmark = pytest.mark.e2e
MODELS = ("tiny-policy", "tiny-values")
OBSERVATION = {"tiny-policy": {"data": [0, 0, 0, 0]}, "tiny-values": {"data": [0, 0]}}
PATIENCE = 30.0


@pytest.fixture(scope="module")
def run(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a supervised server, whose archives must be signed; everything ends without a trace."""
    run = tmp_path_factory.mktemp("supervised") / "run"
    source, keys, key = run.parent / "source", run.parent / "keys.pub", PrivateKey.generate()
    source.mkdir()
    key.write(run.parent / "key.pem", keys)
    for name in MODELS:
        signature.sign(Path(shutil.copy(tiny_archive(name), source)), key)
    try:
        admission = admit([source / f"{name}.mar" for name in MODELS], run / ADMITTED, keys)
        server = TorchServe(admission.store, run, Ports.free(), models=2, admission=admission)
        supervisor = SupervisorProcess(server)
        load(run, [server.store / f"{name}.mar" for name in MODELS])
        start_edge(run, server.ports, MODELS, run.parent / "secrets")
        supervisor.admit()
        supervisor.detach()
        supervisor.orders.close()  # as when `serve` has ended
        yield run
        members = family(state_of(run))
        assert len(members) >= 4
    finally:
        assert stop(run)
    assert supervisor.process.wait(5) == 0
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members)
    assert [path.name for path in run.iterdir()] == ["logs"]


def wait(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def workers(run: Path, model: str) -> list[int]:
    with RestManagement(server_of(run)) as management:
        return [worker.pid for worker in management.describe(model).workers]


def answers(run: Path, model: str, timeout: float = 5.0) -> bool:
    with RestClient(server_of(run)) as client:
        return bool(client.predict(model, OBSERVATION[model], timeout=timeout).json())


def test_a_caller_that_ends_torchserve_s_thread_of_a_worker(run: Path) -> None:
    """A second message on a stream, with a sequence_id: TorchServe calls the worker READY and answers nothing."""
    [before], [neighbour] = workers(run, "tiny-policy"), workers(run, "tiny-values")
    server = server_of(run)
    key = Credentials(server).bearer("inference")
    body = {"body": json.dumps(OBSERVATION["tiny-policy"]).encode(), "content-type": b"application/json"}
    messages = [
        PredictionsRequest(model_name="tiny-policy", input=body),
        PredictionsRequest(model_name="tiny-policy", input=body, sequence_id="x"),
    ]
    with grpc.insecure_channel(server.grpc) as channel:
        stub = InferenceAPIsServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            list(stub.StreamPredictions2(iter(messages), metadata=[("authorization", key)], timeout=3))
    wait(lambda: not psutil.pid_exists(before), "the attack has no effect")
    status = Status(server, run, MODELS)
    status.admit()
    status.look()
    assert not status.ready
    assert all(model.ready for model in status.models)  # as TorchServe says
    assert answers(run, "tiny-policy", timeout=20)  # what waits in the queue is answered as well
    wait(lambda: Record.read(run).recovered == {"tiny-policy/1.0": 1}, "the supervisor sees nothing")
    status.look()
    assert status.ready
    assert workers(run, "tiny-policy") != [before]
    assert workers(run, "tiny-values") == [neighbour]
    assert "has lost worker" in (run / "logs" / "supervisor.log").read_text()


def test_a_worker_that_was_stopped(run: Path) -> None:
    """It goes on within seconds, and what it was asked meanwhile is answered."""
    [worker] = workers(run, "tiny-values")
    psutil.Process(worker).suspend()
    assert answers(run, "tiny-values", timeout=15)
    assert workers(run, "tiny-values") == [worker]
    wait(lambda: "was stopped by a signal" in (run / "logs" / "supervisor.log").read_text(), "nothing is said about it")


def through_the_edge(run: Path) -> bool:
    try:
        with RestClient(public_server(run)) as client:
            return bool(client.predict("tiny-policy", OBSERVATION["tiny-policy"]).json())
    except ClientError:
        return False


def test_the_edge_is_killed(run: Path) -> None:
    """It comes back, and until then no caller is led past it, to TorchServe itself."""
    edge = public_server(run)
    keeper = psutil.Process((state_of(run) or {})["edge"]["pid"])
    envoy = keeper.children(recursive=True)
    for process in (keeper, *envoy):
        process.kill()
    end = time.monotonic() + PATIENCE
    while (state_of(run) or {})["edge"]["pid"] == keeper.pid:
        assert public_server(run) == edge
        assert time.monotonic() < end, "the edge is not started again"
    wait(lambda: through_the_edge(run), "the edge does not come back")


def rewritten(run: Path) -> tuple[Path, Path]:
    """A good archive under another name in the folder, not signed, and what signs it."""
    path = run.parent / "source" / "later.mar"
    shutil.copyfile(run.parent / "source" / "tiny-values.mar", path)
    return path, run.parent / "key.pem"


@pytest.mark.parametrize("make", [RestManagement, GrpcManagement])
def test_only_signed_archives_can_be_registered(run: Path, make: type[RestManagement | GrpcManagement]) -> None:
    """Over the edge with the reason, and past it not at all; once it is signed, at once."""
    path, key = rewritten(run)
    try:
        with make(public_server(run)) as admin, make(server_of(run)) as past_the_edge:
            with pytest.raises(InvalidInput, match=r"refused: later\.mar is not signed: later\.mar\.sig is missing"):
                admin.register(path.name, name="later", synchronous=True)
            with pytest.raises(NotFound):
                past_the_edge.register(path.name, name="later", synchronous=True)
            PrivateKey.generate().write(run.parent / "foreign.pem", run.parent / "foreign.pub")
            signature.sign(path, PrivateKey.read(run.parent / "foreign.pem"))
            with pytest.raises(InvalidInput, match=r"with the key .* which is not trusted"):
                admin.register(path.name, name="later", synchronous=True)
            signature.sign(path, PrivateKey.read(key))
            whole = path.read_bytes()
            path.write_bytes(whole.replace(b"import", b"impart", 1))
            with pytest.raises(InvalidInput, match=r"later\.mar was altered after it was signed"):
                admin.register(path.name, name="later", synchronous=True)
            with pytest.raises(NotFound):
                past_the_edge.register(path.name, name="later", synchronous=True)
            path.write_bytes(whole)
            admin.register(path.name, name="later", synchronous=True)
            admin.unregister("later")
    finally:
        for each in (path, signature.path_of(path), run.parent / "foreign.pem", run.parent / "foreign.pub"):
            each.unlink(missing_ok=True)
    wait(lambda: not (run / ADMITTED / path.name).exists(), "the archive is still in TorchServe's store")


def test_a_signed_archive_that_comes_later_is_admitted_without_being_asked_for(run: Path) -> None:
    path, key = rewritten(run)
    signature.sign(path, PrivateKey.read(key))
    wait(lambda: (run / ADMITTED / path.name).exists(), "the archive does not come into TorchServe's store")
    with RestManagement(server_of(run)) as management:
        management.register(path.name, name="later", synchronous=True)
        management.unregister("later")
    path.unlink()
    assert "later.mar is admitted: signed with the key" in (run / "logs" / "supervisor.log").read_text()


@pytest.mark.parametrize("name", ["java", "keeper", "zygote", "edge", "envoy"])
def test_what_serves_was_stopped(run: Path, name: str) -> None:
    """It goes on within seconds; nothing is started again."""
    state = state_of(run) or {}
    java, edge = (psutil.Process(each["pid"]) for each in (state, state["edge"]))
    of_workers, [envoy] = java.children(), edge.children()
    serving = {"java": java, "keeper": of_workers[0], "zygote": alive(state["zygote"]), "edge": edge, "envoy": envoy}
    process = serving[name]
    assert process is not None
    process.suspend()
    wait(lambda: process.status() != psutil.STATUS_STOPPED, "it does not go on")
    wait(lambda: through_the_edge(run), "the edge does not come back")
    log = run / "logs" / "supervisor.log"
    wait(lambda: f"({process.pid}) was stopped by a signal" in log.read_text(), "the log does not say so")
    assert state_of(run) == state


def test_torchserve_is_killed(run: Path) -> None:
    """It comes back with its models, their workers, and keys that clients find, however many times."""
    server = server_of(run)
    with RestManagement(server) as management:
        management.scale("tiny-policy", 2)
        management.register("tiny-values.mar", name="copy", initial_workers=1)
    time.sleep(3)  # the supervisor looks every two seconds
    process = running(run)
    assert process is not None
    process.kill()
    with RestClient(server) as rest, GrpcClient(server) as rpc:
        wait(lambda: Record.read(run).restarted == 1, "the supervisor sees nothing")
        wait(lambda: "serving again" in (run / "logs" / "supervisor.log").read_text(), "it does not come back")
        for client in (rest, rpc):
            assert client.predict("copy", OBSERVATION["tiny-values"]).json()
    assert len(workers(run, "tiny-policy")) == 2
    wait(lambda: through_the_edge(run), "the edge does not get the server's new keys")
    [restart] = Record.read(run).restarts
    assert (restart.verdict, restart.reason) == ("signal", "it was killed (SIGKILL)")
    found = look(run)
    assert found is not None
    assert (found.restarted, found.restarts[-1]) == (1, restart)


def test_a_server_that_ends_while_it_is_started(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    """It is not started again: whoever starts it reports that and stops what is left."""
    store, run = tiny_archive("tiny-policy").parent, tmp_path / "run"
    supervisor = SupervisorProcess(TorchServe(store, run, Ports.free(), preload=()))
    process = running(run)
    assert process is not None
    process.kill()
    with pytest.raises(DeployError, match="ended while starting"):
        load(run, [store / "tiny-policy.mar"])
    started = time.monotonic()
    assert stop(run)
    assert time.monotonic() - started < 15
    assert supervisor.process.wait(5) == 0
    assert [path.name for path in run.iterdir()] == ["logs"]
