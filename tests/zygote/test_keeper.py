"""A worker that dies or does not come to an end, and its batch: TorchServe's own worker, in processes."""

import os
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import torch
import yaml

from archiver import archive
from archiver.package import resolve
from handlers.networks.actor_critic import Discrete
from handlers.protocol import deadline
from handlers.torchserve import progress
from tests.tiny_archives import PROJECT
from tests.zygote.front_end import FrontEnd
from train.core.artifact import Artifact
from zygote import keeper, shared_progress
from zygote.libraries import libraries
from zygote.process import Zygote
from zygote.usage import resident

REQUEST_S, RESPONSE_S = 1.5, 24
GOOD: list[list[float]] = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.2, 0.3, 0.4], [0.9, 0.2, 0.3, 0.4]]


def trouble(what: int) -> list[float]:
    return [0, float(what), 0, 0]


@pytest.fixture(scope="module")
def mar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that can be brought into trouble; it loads in milliseconds."""
    root = tmp_path_factory.mktemp("trouble")
    sample = root / "observation.json"
    sample.write_text('{"data": [0.1, 0.2, 0.3, 0.4]}')
    torch.manual_seed(0)
    Artifact(
        name="trouble",
        task="policy",
        format="safetensors",
        labels=["left", "right"],
        architecture={"factory": "handlers.networks.actor_critic.Discrete", "arguments": {"size": 4, "actions": 2}},
        preprocessing={
            "observation": {"shape": [4], "low": None, "high": None},
            "action": {"kind": "discrete", "count": 2},
        },
    ).write(root / "artifact", Discrete(4, 2).state_dict(), sample)
    shutil.copy(Path(__file__).with_name("trouble.py"), root)
    spec = {
        "artifact": "artifact",
        "handler": "trouble.Trouble",
        "code": ["trouble.py"],
        "backend": "torch",
        "batch": {"size": 4},
        "timeouts": {"request_s": REQUEST_S, "response_s": RESPONSE_S},
    }
    (root / "trouble.yaml").write_text(yaml.safe_dump(spec))
    archive.build(resolve(root / "trouble.yaml", root), PROJECT / "handlers", root)
    return root / "trouble.mar"


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    folder = tmp_path_factory.mktemp("warm")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (folder / "log").open("wb") as log:
        started = Zygote(folder / "socket", libraries(), environment, log=log)
    yield started
    started.stop()


@pytest.fixture
def front_end(zygote: Zygote, mar: Path, tmp_path: Path) -> Iterator[FrontEnd]:
    with FrontEnd(zygote, mar, tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def alone(zygote: Zygote, mar: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The healthy observations' answers, each asked alone."""
    with FrontEnd(zygote, mar, tmp_path_factory.mktemp("alone")) as worker:
        answers = [worker.ask({"data": row}) for row in GOOD]
    assert [status for [(status, _)] in answers] == [200] * 3
    return [body for [(_, body)] in answers]


def judged(alone: Sequence[Any], answers: Sequence[tuple[int, Any]], positions: Sequence[int]) -> None:
    """Compare the answers at these positions with those that healthy observations got alone, in order."""
    for position, expected in zip(positions, alone, strict=True):
        status, body = answers[position]
        assert status == 200, body
        assert body["action"] == expected["action"]
        assert body["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)


def test_both_sides_describe_the_same_memory() -> None:
    for name in ("HEADER", "SLOTS", "SENT", "WAITING", "WORKING", "ANSWERING"):
        assert getattr(shared_progress, name) == getattr(progress, name), name
    assert shared_progress.WORDS.size == 8 * len(progress.WORDS) <= progress.SLOTS
    assert shared_progress.Words._fields == progress.WORDS
    assert (shared_progress.DEADLINE, keeper.PLAN) == (deadline.HEADER, progress.PLAN)
    assert progress.own_memory() == pytest.approx(resident(os.getpid()), rel=0.1)


@pytest.mark.parametrize(
    ("what", "position", "status", "type", "verdicts"),
    [
        (101, 0, 422, "TooSlow", ["hung"]),  # decoding in C, with Python's lock
        (102, 3, 500, "InternalError", ["hung", "hung"]),  # decoding that waits for something
        (103, 1, 500, "InternalError", ["signal", "signal"]),  # a decoder that crashes
        (108, 1, 500, "InternalError", ["exception", "exception"]),  # one that ends the process
        (111, 2, 422, "TooSlow", ["hung", "hung"]),  # a prediction in C
        (112, 0, 500, "InternalError", ["signal", "signal", "signal"]),  # one that is killed
    ],
)
def test_one_request_fails_and_its_neighbours_are_answered(
    front_end: FrontEnd, alone: list[Any], what: int, position: int, status: int, type: str, verdicts: list[str]
) -> None:
    rows = [{"data": row} for row in GOOD]
    rows.insert(position, {"data": trouble(what)})
    before, started = front_end.worker, time.monotonic()
    answers = front_end.ask(*rows)
    assert time.monotonic() - started < RESPONSE_S - 1
    assert answers[position] == (status, {"code": status, "type": type, "message": answers[position][1]["message"]})
    judged(alone, answers, [index for index in range(4) if index != position])
    assert front_end.worker != before
    assert front_end.process.is_running()
    assert front_end.ask({"data": GOOD[0]})[0][0] == 200
    deaths = front_end.deaths
    assert [death["verdict"] for death in deaths] == verdicts
    assert {(death["model"], death["lost"]) for death in deaths} == {("trouble", 0)}
    guilty = {"id": str(position), "sha256": sha256(orjson.dumps({"data": trouble(what)})).hexdigest()}
    for death in deaths:  # a prediction of all of them is not one request's fault, until each is tried by itself
        assert guilty in death["requests"]
        assert len(death["requests"]) in (1, 4)
    assert deaths[-1]["requests"] == [guilty]


@pytest.mark.parametrize("what", [105, 106])
def test_what_happens_to_a_worker_once_costs_nobody(front_end: FrontEnd, alone: list[Any], what: int) -> None:
    answers = front_end.ask(*({"data": row} for row in [*GOOD, trouble(what)]))
    judged(alone, answers, range(3))
    assert answers[3][0] == 200


def test_a_worker_that_is_killed_between_batches(front_end: FrontEnd, alone: list[Any]) -> None:
    for _ in range(2):
        judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))
        time.sleep(0.2)
        os.kill(front_end.worker, signal.SIGKILL)
    judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))


def test_a_worker_that_is_killed_in_the_middle_of_a_message(front_end: FrontEnd, alone: list[Any]) -> None:
    """However far it has come; what follows is read by another."""
    message = front_end.send(*({"data": row} for row in [*GOOD, GOOD[0]]))
    front_end.ask({"data": GOOD[0]})
    for cut in (1, len(message) // 2, len(message) - 1):
        front_end.connection.sendall(message[:cut])
        time.sleep(0.3)
        os.kill(front_end.worker, signal.SIGKILL)
        front_end.connection.sendall(message[cut:])
        code, _, answers = front_end.answers()
        assert (code, [status for status, _ in answers]) == (200, [200] * 4)


def test_a_worker_that_is_stopped_in_the_middle_of_a_batch(front_end: FrontEnd, alone: list[Any]) -> None:
    """It does not go on by itself, and its requests are not to blame."""
    front_end.connection.sendall(front_end.send(*({"data": row} for row in [*GOOD, trouble(107)])))
    time.sleep(0.3)
    psutil.Process(front_end.worker).suspend()
    code, _, answers = front_end.answers()
    assert (code, [status for status, _ in answers]) == (200, [200] * 4)


def test_several_that_take_too_long_end_within_the_time_of_the_batch(front_end: FrontEnd, alone: list[Any]) -> None:
    started = time.monotonic()
    answers = front_end.ask({"data": trouble(101)}, {"data": GOOD[0]}, {"data": trouble(111)}, {"data": trouble(101)})
    assert time.monotonic() - started < RESPONSE_S
    assert [status for status, _ in answers] == [422, 200, 422, 422]
    judged(alone[:1], answers, [1])


def test_a_caller_s_deadline(front_end: FrontEnd) -> None:
    [(status, body)] = front_end.ask({"data": trouble(101)}, headers={"X-Request-Deadline": str(time.time() - 1)})
    assert (status, body["type"]) == (504, "DeadlineExceeded")
    [(status, _)] = front_end.ask({"data": GOOD[0]}, headers={"x-request-deadline": str(time.time() + 60)})
    assert status == 200
    for odd in ("soon", "nan", "inf", "1e999", ""):
        [(status, _)] = front_end.ask({"data": GOOD[0]}, headers={"x-request-deadline": odd})
        assert status == 400


def test_a_stream_that_has_begun_is_not_begun_again(front_end: FrontEnd, alone: list[Any]) -> None:
    """TorchServe has sent its caller the first piece; the last one says what has happened."""
    front_end.connection.sendall(front_end.send({"data": trouble(113)}, {"data": GOOD[0]}))
    _, _, [(_, piece)] = front_end.answers()
    assert piece == b"{}"
    _, _, answers = front_end.answers()
    found = [(status, orjson.loads(body)) for status, body in answers]
    assert found[0][0] in (422, 500)
    judged(alone[:1], found, [1])


def test_memory_that_stays_is_given_back_by_an_idle_worker(front_end: FrontEnd, alone: list[Any]) -> None:
    for _ in range(3):
        [(status, _)] = front_end.ask({"data": trouble(104)})
        assert status == 200
    worker, held = front_end.worker, resident(front_end.worker)
    assert held > 600 << 20
    front_end.wait_for("[PID]", times=2)
    [death] = front_end.deaths
    assert (death["verdict"], death["worker"], death["requests"]) == ("kept memory", worker, [])
    judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))
    assert front_end.worker != worker
    assert not psutil.pid_exists(worker)
    assert resident(front_end.worker) < held - (500 << 20)


def test_a_worker_that_dies_again_and_again_is_left_to_torchserve(front_end: FrontEnd, alone: list[Any]) -> None:
    """Which pauses between two starts."""
    for _ in range(keeper.MOST):
        judged(alone[:1], front_end.ask({"data": GOOD[0]}), [0])
        time.sleep(0.2)
        os.kill(front_end.worker, signal.SIGKILL)
    judged(alone[:1], front_end.ask({"data": GOOD[0]}), [0])
    os.kill(front_end.worker, signal.SIGKILL)
    assert front_end.process.wait(10) == keeper.LEFT
    assert [death["verdict"] for death in front_end.deaths] == ["signal"] * (keeper.MOST + 1)


def test_where_there_is_no_time_for_another_worker(zygote: Zygote, mar: Path, tmp_path: Path) -> None:
    """As of a model that takes long to load: the process ends, and TorchServe fails the batch."""
    configuration = tmp_path / "model" / "model-config.yaml"
    with zipfile.ZipFile(mar) as file, zipfile.ZipFile(tmp_path / "short.mar", "w") as short:
        for name in file.namelist():
            values = file.read(name)
            if name == configuration.name:
                values = values.replace(f"responseTimeout: {RESPONSE_S}".encode(), b"responseTimeout: 2")
            short.writestr(name, values)
    with FrontEnd(zygote, tmp_path / "short.mar", tmp_path) as worker:
        with pytest.raises(ConnectionError):
            worker.ask({"data": trouble(101)})
        assert worker.process.wait(10) == keeper.LEFT
        [death] = worker.deaths
        assert (death["verdict"], death["lost"], len(death["requests"])) == ("hung", 1, 1)


def test_a_successor_that_does_not_load(front_end: FrontEnd) -> None:
    """Its predecessor's batch is lost."""
    front_end.connection.sendall(front_end.send({"data": trouble(107)}, {"data": GOOD[0]}))
    time.sleep(0.3)
    (front_end.folder / "model" / "card.json").unlink()
    os.kill(front_end.worker, signal.SIGKILL)
    with pytest.raises(ConnectionError):
        front_end.answers()
    assert front_end.process.wait(10) == keeper.LEFT
    died, successor = front_end.deaths
    assert (died["verdict"], died["lost"]) == ("signal", 0)
    assert (successor["verdict"], successor["detail"], successor["lost"]) == ("startup failure", "exit status 1", 2)


def test_torchserve_writes_the_batch_that_it_is_collecting_before_it_learns_of_a_death(
    zygote: Zygote, mar: Path, tmp_path: Path
) -> None:
    """No worker can be forked any more; it would forget those requests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    other = Zygote(tmp_path / "warm", libraries(), environment)
    try:
        with FrontEnd(other, mar, tmp_path) as front_end:
            other.process.kill()
            time.sleep(0.5)
            front_end.connection.sendall(front_end.send({"data": GOOD[0]}))
            with pytest.raises(ConnectionError):
                front_end.answers()
            assert front_end.process.wait(10) == keeper.LEFT
            assert [death["verdict"] for death in front_end.deaths] == ["signal"]
    finally:
        other.stop()
