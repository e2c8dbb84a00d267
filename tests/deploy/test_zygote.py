"""Whatever is killed of a server, nothing hangs, nothing is left, and TorchServe starts workers again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from client import ClientError, RestClient, RestManagement
from deploy.ports import Ports
from deploy.processes import alive, family
from deploy.readiness import load
from deploy.run_folder import running, state_of, stop
from deploy.torchserve import TorchServe
from deploy.worker_environment import ALLOCATOR, JAVA_ALLOCATOR

pytestmark = pytest.mark.e2e
NAME = "tiny-policy"
QUESTION = {"data": [0, 0, 0, 0]}
LIMIT = 60.0


class Served:
    """A server of one worker, and who is who in it."""

    def __init__(self, torchserve: TorchServe) -> None:
        self.torchserve = torchserve
        state = state_of(torchserve.run)
        server, zygote = running(torchserve.run), alive((state or {})["zygote"])
        assert server is not None
        assert zygote is not None
        self.server, self.zygote = server, zygote

    @property
    def worker(self) -> psutil.Process:
        with RestManagement(self.torchserve.server) as management:
            [worker] = management.describe(NAME).workers
        return psutil.Process(worker.pid)

    @property
    def client(self) -> psutil.Process:
        """What TorchServe takes for its worker."""
        [client] = self.server.children(recursive=True)
        return client

    def answers(self) -> None:
        """Returns once the model answers."""
        end = time.monotonic() + LIMIT
        with RestClient(self.torchserve.server) as client:
            while True:
                try:
                    assert client.predict(NAME, QUESTION, timeout=5).json()["action"] in (0, 1)
                    return
                except ClientError:
                    assert time.monotonic() < end
                    time.sleep(0.1)

    def log(self) -> str:
        return (self.torchserve.run / "logs" / "models.log").read_text(encoding="utf-8")


@pytest.fixture
def served(tiny_archive: Callable[[str], Path], tmp_path: Path) -> Iterator[Served]:
    archive = tiny_archive(NAME)
    with TorchServe(archive.parent, tmp_path / "run", Ports.free(), preload=("torch",)) as torchserve:
        load(torchserve.run, [archive])
        yield Served(torchserve)


def gone(*processes: psutil.Process) -> bool:
    _, left = psutil.wait_procs(processes, timeout=LIMIT)
    return not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


def test_a_worker_is_a_fork(served: Served) -> None:
    worker = served.worker
    assert worker.ppid() == served.zygote.pid
    assert served.client.name() != "sh"
    for process in (served.client, worker):  # the lifeline is TorchServe's alone
        opened = {path.name: str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert not {name: to for name, to in opened.items() if int(name) > 2 and to.startswith("pipe")}
    assert {name for name in worker.environ() if name.startswith("ZYGOTE")} <= {"ZYGOTE_RECORDS"}
    for process, thresholds in ((served.server, JAVA_ALLOCATOR), (worker, ALLOCATOR)):  # as they were when it started
        assert thresholds.items() <= process.environ().items()
    assert "a fresh interpreter" not in served.log()
    assert family(state_of(served.torchserve.run)) == [served.server, served.client, served.zygote, worker]
    [thread] = served.zygote.threads()
    assert thread.id == served.zygote.pid


def test_a_killed_worker(served: Served) -> None:
    """Another takes its place, and TorchServe's process stays; it costs no request, whatever was being done."""
    client, killed = served.client, []
    with RestClient(served.torchserve.server) as rest:
        for _ in range(3):
            killed.append(served.worker)
            killed[-1].kill()
            for _ in range(20):
                assert rest.predict(NAME, QUESTION, timeout=LIMIT).json()["action"] in (0, 1)
    assert gone(*killed)
    assert served.client == client
    assert served.worker not in killed
    assert [child.pid for child in served.zygote.children()] == [served.worker.pid]  # and no zombie


def test_a_killed_client(served: Served) -> None:
    """The worker ends with it, and another pair takes their place."""
    worker, client = served.worker, served.client
    client.kill()
    assert gone(worker, client)
    served.answers()
    assert served.worker.ppid() == served.zygote.pid
    assert [child.pid for child in served.zygote.children()] == [served.worker.pid]


def test_a_killed_zygote(served: Served) -> None:
    """Its workers die with it; TorchServe's next ones are interpreters of their own."""
    worker, client = served.worker, served.client
    served.zygote.kill()
    assert gone(served.zygote, worker, client)
    served.answers()
    assert served.worker.ppid() == served.server.pid
    assert "a fresh interpreter takes over" in served.log()


def test_another_zygote_after_a_killed_one(served: Served) -> None:
    """It ends with TorchServe as well, which it is not told by a pipe."""
    worker, client = served.worker, served.client
    served.zygote.kill()
    assert gone(served.zygote, worker)
    end = time.monotonic() + LIMIT
    while not served.torchserve.keep_warm():  # a zygote that ends at once is not started again at once
        assert time.monotonic() < end
        time.sleep(0.1)
    assert not served.torchserve.keep_warm()
    served.answers()
    assert served.client == client
    assert served.worker.ppid() == served.torchserve.zygote.process.pid != served.zygote.pid
    members = family(state_of(served.torchserve.run))
    assert len(members) == 4
    served.server.kill()
    assert gone(*members)


def test_a_killed_server(served: Served) -> None:
    members = family(state_of(served.torchserve.run))
    assert len(members) == 4
    served.server.kill()
    assert gone(*members)
    stop(served.torchserve.run)
    assert [path.name for path in served.torchserve.run.iterdir()] == ["logs"]


def test_whoever_started_it_is_killed(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    """Before TorchServe runs: the process that imports ahead ends too, once it has imported."""
    pid = os.fork()
    if not pid:
        server = TorchServe(tiny_archive(NAME).parent, tmp_path)
        zygote = server.start_zygote(tmp_path, dict(os.environ), None)
        (tmp_path / "pid").write_text(str(zygote.process.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert gone(psutil.Process(int((tmp_path / "pid").read_text())))
    assert not (tmp_path / "zygote").exists()
